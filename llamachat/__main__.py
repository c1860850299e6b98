"""`python -m llamachat`."""

from llamachat.cli.main import run

if __name__ == "__main__":
    run()

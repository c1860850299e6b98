"""The program, from its first moment: `llamachat`, `python -m llamachat`."""

from __future__ import annotations

import sys


def run() -> None:
    """The console script. Ctrl-C counts while Python is still importing, too."""
    try:
        from llamachat.cli.main import run as run_program  # noqa: PLC0415

        run_program()
    except KeyboardInterrupt:
        if "--json" in sys.argv:
            print('{"error":{"code":130,"message":"interrupted.","hint":""}}')  # noqa: T201
        sys.exit(130)


if __name__ == "__main__":
    run()

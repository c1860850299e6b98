"""How llama.cpp comes onto this machine, and a checkout into its `.venv`.

    __main__.py   the commands: rebuild, check, install
    flags.py      which `CMAKE_ARGS` this machine needs
    binding.py    llama-cpp-python built with them, into one environment, and checked
    replace.py    another build in its place, tried before it is installed
    selfcheck.py  decodes tokens in a child process, where a bad build may crash
    checkout.py   what `make` runs first: the checkout installed into its environment
    state.py      which steps of that are done, and the lock
    runner.py     long commands, with their output in a log and their progress on stderr

Standard library only and nothing else of llamachat: it runs before anything is installed.
"""

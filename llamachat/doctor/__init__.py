"""What this machine and this install can do, what is wrong, and what mends it.

    finding.py        one line of the report
    subject.py        what is looked at, and how to get at the parts of it
    examination.py    the table of checks, and how they are run: a new one is a line there
    program.py        llamachat, its Python, the folders it writes to
    binding.py        llama.cpp's build against this processor and GPU (features.py)
    engine.py         the engine, tried; what crashed here before
    machine.py        memory and disk
    model.py          the model that is used where none is named
    configuration.py  the configuration file, variables, presets
    sessions.py       the database of sessions
    snapshots.py      what prompts have evaluated to, on disk
    tuning.py         what was measured of the models here
    warm.py           engines that one-shots have left
    terminal.py       what the terminal can show
    mending.py        llama.cpp built anew

A check looks and says; it changes nothing, and prints nothing.
"""

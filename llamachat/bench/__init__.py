"""This machine against raw llama.cpp, in one run.

    values      what one measurement is, and what several of them say
    plan        at which depths, with how many tokens, within which time
    prompts     requests that begin alike and end differently, as many tokens long as is wanted
    rounds      the measuring: llamachat and the raw loop in turns
    trials      the raw loop with other settings: what would be faster here
    raw         the raw loop itself, a process of its own; nothing imports it
    yardstick   the parent's end of that process
    bounds      what memory and arithmetic allow, and how much of it was reached
    run         one run from start to end
    advice      what to change, in words
    report      all that a run has to say, as JSON and as a picture (svg)

It knows no terminal and keeps nothing: no session, no snapshot.
"""

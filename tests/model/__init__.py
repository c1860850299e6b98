"""A Llama of 0.9 million parameters that speaks Llama 2's format, and was taught to notice when it is wrong.

`dialogs` is what it was taught, `framing` the format and its faults, `train` makes the GGUF, `judge` measures it.
"""

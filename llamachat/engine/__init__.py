"""A reply to these messages, wherever it is made. `base` is what the rest of the program sees."""

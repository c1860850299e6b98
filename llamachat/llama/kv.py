"""Keys and values of a range of positions, out of a unified KV cache and into it.

llama.cpp reads and writes a whole sequence, so the range passes through a spare one, which shares the cells.
"""

from __future__ import annotations

import ctypes
from typing import Any

from llamachat.llama.lib import C


def read(context: Any, sequence: int, spare: int, start: int, end: int) -> Any:
    """The state of these positions, a ctypes array that the caller owns."""
    memory = C.llama_get_memory(context)
    C.llama_memory_seq_cp(memory, sequence, spare, start, end)
    try:
        size = C.llama_state_seq_get_size(context, spare)
        state = (ctypes.c_uint8 * size)()
        if C.llama_state_seq_get_data(context, state, size, spare) != size:
            raise RuntimeError("llama.cpp did not give the whole state of a sequence")
        return state
    finally:
        C.llama_memory_seq_rm(memory, spare, -1, -1)


def write(context: Any, sequence: int, spare: int, state: memoryview, start: int, end: int, used: int) -> bool:
    """Put positions `start` to `used` of a state that has those from `start` to `end` behind the sequence's own.

    False, and the sequence is as before, when llama.cpp does not take it or it has other positions.
    """
    memory = C.llama_get_memory(context)
    data = (ctypes.c_uint8 * len(state)).from_buffer(state)
    try:
        if C.llama_state_seq_set_data(context, data, len(state), spare) != len(state):
            return False
        first, last = C.llama_memory_seq_pos_min(memory, spare), C.llama_memory_seq_pos_max(memory, spare)
        if (first, last) != (start, end - 1):
            return False
        C.llama_memory_seq_cp(memory, spare, sequence, start, used)
        return True
    finally:
        C.llama_memory_seq_rm(memory, spare, -1, -1)

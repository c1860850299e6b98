"""llama.cpp in this process, through its C API. Only `engine/worker.py` imports this package."""

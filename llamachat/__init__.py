"""A terminal chat with local models: Llama 2 first, any GGUF that llama.cpp runs."""

__version__ = "0.1.0"

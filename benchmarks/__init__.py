"""Speed as ratios: llamachat against a bare llama.cpp loop, in one run on one machine."""

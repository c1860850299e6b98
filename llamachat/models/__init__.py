"""Model files: which there are, and what their headers say."""

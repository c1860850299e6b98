"""What was said, kept on disk: one SQLite file of sessions, each a tree of turns."""

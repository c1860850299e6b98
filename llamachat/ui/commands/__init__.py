"""The slash commands: one table that dispatch, help, completion and the docs read."""

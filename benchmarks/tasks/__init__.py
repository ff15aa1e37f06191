"""The tasks that our own workers execute."""

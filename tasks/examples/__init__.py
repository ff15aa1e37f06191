"""One feature a file. Each is documentation, and its usage is run as a test."""

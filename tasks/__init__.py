"""Where your tasks live. `examples/` shows one feature a file, to read and to copy."""

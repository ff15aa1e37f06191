"""What `doctor` looks at, one subject a module. Everything here reads; nothing mends."""

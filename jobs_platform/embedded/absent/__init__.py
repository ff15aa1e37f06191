"""Stand-ins for servers that are not there; each says so on first use."""

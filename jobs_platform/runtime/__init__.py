"""Inside a worker: runs one attempt after another. Writes nothing to the database itself."""

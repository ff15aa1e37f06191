"""One command a file: it parses and prints, and leaves the work to the layers below."""

"""The embedded stack: Postgres and Valkey from wheels, for development and tests.

Owns two server processes and the folder they keep their data in. Imports nothing else of the
project and reads no environment variable: whatever it needs is passed in.
"""

"""Live updates over WebSockets. Imports itself only relatively: its name differs in the wheel."""

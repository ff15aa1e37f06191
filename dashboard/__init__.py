"""The dashboard in Django's admin. Imports itself only relatively: its name differs in the
wheel.
"""

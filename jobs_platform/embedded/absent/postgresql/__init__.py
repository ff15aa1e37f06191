"""A Django database backend for the case that there is no database yet: it says so on first use,
and nothing else.
"""

"""Pure rules and values: no Django, no Celery, no I/O, no state."""

"""The HTTP edge: the API over django-ninja. It calls the engine and holds no rules of its own."""

"""The web process: HTTP by Django, its static files included.

Must load Django before anything that has models is imported.
"""

import os

from channels.routing import ProtocolTypeRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobs_platform.settings")

application = ProtocolTypeRouter({"http": ASGIStaticFilesHandler(get_asgi_application())})

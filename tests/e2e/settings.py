"""The project's own settings; `E2E_JOBS`, a JSON object, changes what a test wants otherwise."""

import json
import os

from jobs_platform.settings import *  # noqa: F403
from jobs_platform.settings import INSTALLED_APPS, JOBS

# It only gives `runserver` its server, and importing it takes workers and beats half a second.
INSTALLED_APPS.remove("daphne")
JOBS |= json.loads(os.environ.get("E2E_JOBS", "{}"))
ROOT_URLCONF = "tests.e2e.urls"
ALLOWED_HOSTS = ["127.0.0.1"]

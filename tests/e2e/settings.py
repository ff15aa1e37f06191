"""The project's own settings; `E2E_JOBS`, a JSON object, changes what a test wants otherwise."""

import json
import os

from jobs_platform.settings import *  # noqa: F403
from jobs_platform.settings import JOBS

JOBS |= json.loads(os.environ.get("E2E_JOBS", "{}"))
ROOT_URLCONF = "tests.e2e.urls"
ALLOWED_HOSTS = ["127.0.0.1"]

"""The project's settings with a lease that ends soon, for a worker process of a test."""

from jobs_platform.settings import *  # noqa: F403
from jobs_platform.settings import JOBS as _JOBS

JOBS = {**_JOBS, "LEASE_SECONDS": 3, "HEARTBEAT_SECONDS": 0.5}

"""The Celery app of a worker: `celery -A jobs_platform worker`, `celery -A jobs_platform beat`.

Brings the settings that the platform relies on as defaults; a project's own `CELERY_…` settings
come on top, and its own Celery tasks run in the same workers.
"""

from __future__ import annotations

import os

import django
from celery import Celery
from kombu import Queue

from jobs_platform import conf
from jobs_platform.domain.configuration import DEFAULT_WORKER_QUEUE

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobs_platform.settings")

WORKER_QUEUES = (DEFAULT_WORKER_QUEUE, *conf.configuration().machines)
OWN_TASKS_QUEUE = "celery"
"""Where a project's own Celery tasks go, unless it says otherwise."""

DEFAULTS = {
    "broker_transport_options": {
        # Postgres owns recovery, so nothing is acknowledged: a third of the cost for each message.
        "ack_emulation": False,
        "priority_steps": [0],
        # Above the second that a BRPOP waits; without it a frozen Redis holds a publisher for ever.
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_pool_acquire_timeout": 2,
    "result_backend": None,
    "task_ignore_result": True,
    "task_publish_retry": False,
    "task_acks_late": True,
    "task_reject_on_worker_lost": None,
    "task_default_queue": OWN_TASKS_QUEUE,
    "task_queues": [Queue(OWN_TASKS_QUEUE), *(Queue(f"jobs.{name}") for name in WORKER_QUEUES)],
    "task_serializer": "json",
    "accept_content": ["json"],
    "worker_prefetch_multiplier": 1,
    "worker_send_task_events": False,
    "worker_disable_rate_limits": True,
    "worker_enable_remote_control": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "beat_scheduler": "jobs_platform.delivery.beat:JobsScheduler",
    "beat_max_loop_interval": 1,
    "enable_utc": True,
    "timezone": "UTC",
}

# Celery's own Django fixup closes the database connection around every task.
app = Celery("jobs_platform", fixups=[], task_cls="celery.contrib.django.task:DjangoTask")
app.add_defaults(DEFAULTS)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()
django.setup()
app.autodiscover_tasks()
app.autodiscover_tasks(["jobs_platform.delivery"], related_name="drain_task")

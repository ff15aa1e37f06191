"""The composition root: the only module that sees every layer and plugs them together."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class JobsConfig(AppConfig):
    """The platform as a Django app."""

    name = "jobs_platform"
    label = "jobs"
    verbose_name = "Jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from jobs_platform import checks, conf
        from jobs_platform.delivery.wakeups import ring
        from jobs_platform.engine import caller
        from jobs_platform.engine.platform import PostgresEngine
        from jobs_platform.sdk import ports

        ports.bind(engine=PostgresEngine(), configuration=conf.configuration())
        caller.bind_bell(ring)
        checks.register()
        post_migrate.connect(_make_environment, sender=self)


def _make_environment(**_: object) -> None:
    """The configured environment exists from the first migration on."""
    from jobs_platform.engine.environments import environment_id, forget

    forget()
    environment_id()

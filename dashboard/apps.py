"""The app's place in Django; the module may be `dashboard` or `jobs_platform.dashboard`."""

from django.apps import AppConfig
from django.core.checks import Tags, register

from .checks import check_admin_theme


class DashboardConfig(AppConfig):
    name = __package__
    label = "jobs_dashboard"
    verbose_name = "Jobs: dashboard"

    def ready(self) -> None:
        register(check_admin_theme, Tags.admin)

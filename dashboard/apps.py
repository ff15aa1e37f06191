"""The app's place in Django; the module may be `dashboard` or `jobs_platform.dashboard`."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = __package__
    label = "jobs_dashboard"
    verbose_name = "Jobs: dashboard"

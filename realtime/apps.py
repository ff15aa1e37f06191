"""The app's place in Django; the module may be `realtime` or `jobs_platform.realtime`."""

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = __package__
    label = "jobs_realtime"
    verbose_name = "Jobs: live updates"

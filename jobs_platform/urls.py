"""The URLs of this repository's own project; in yours, include what you need of them."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from jobs_platform.api import dev_login

urlpatterns = [
    *dev_login.urlpatterns(),
    path("admin/", admin.site.urls),
    path("runs/<str:object_id>/", RedirectView.as_view(pattern_name="admin:jobs_run_change")),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]

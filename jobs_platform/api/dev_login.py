"""The login link of development: `manage.py dev` prints it, so nobody makes up a password.

The link is signed, lives for a day and may be opened again within it. It works with DEBUG only, for
requests from this machine only; the user that it logs in has no password and cannot log in
otherwise.
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseForbidden
from django.shortcuts import redirect
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

NAME = "jobs-dev-login"
USERNAME = "dev"
MAX_AGE_SECONDS = 86_400
_SALT = "jobs_platform.dev_login"
_MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
_STALE = "This login link is not valid or older than a day. `manage.py dev` prints a new one."


def urlpatterns() -> list[URLPattern]:
    """The route of the link; none outside of development."""
    return [path("dev/login/", dev_login, name=NAME)] if settings.DEBUG else []


def login_url(base_url: str, *, next_path: str | None = None) -> str | None:
    """A fresh link; None where the project does not route it."""
    try:
        route = reverse(NAME)
    except NoReverseMatch:
        return None
    query = {"token": signing.dumps(USERNAME, salt=_SALT)}
    if next_path:
        query["next"] = next_path
    return f"{base_url}{route}?{urlencode(query)}"


@require_GET
@never_cache
def dev_login(request: HttpRequest) -> HttpResponse:
    """Log the developer in, and go on to `next` or the admin."""
    if not settings.DEBUG:
        raise Http404
    if not _is_local(request):
        return HttpResponseForbidden("The login link works on this machine only.")
    try:
        signing.loads(request.GET.get("token", ""), salt=_SALT, max_age=MAX_AGE_SECONDS)
    except signing.BadSignature:
        return HttpResponseForbidden(_STALE)
    login(request, _developer(), backend=_MODEL_BACKEND)
    target = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}):
        target = reverse("admin:index")
    return redirect(target)


def _is_local(request: HttpRequest) -> bool:
    """Whether nobody stands between: a proxy on this machine would make everybody local."""
    if "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _developer() -> AbstractBaseUser:
    """The superuser `dev`, made without a password at the first use."""
    users: Any = get_user_model()
    known = users._default_manager.filter(**{users.USERNAME_FIELD: USERNAME}).first()
    if known is not None:
        return known
    required = dict.fromkeys(users.REQUIRED_FIELDS, "")
    if users.EMAIL_FIELD in required:
        required[users.EMAIL_FIELD] = f"{USERNAME}@localhost"
    return users._default_manager.create_superuser(
        **{users.USERNAME_FIELD: USERNAME}, password=None, **required
    )

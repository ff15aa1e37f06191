"""The login link of development: who may use it, for how long, and where it leads."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import signing
from django.test import Client, override_settings
from django.urls import include, path

from jobs_platform.api import dev_login

urlpatterns = [path("", include("jobs_platform.urls"))]
if not any(route.name == dev_login.NAME for route in dev_login.urlpatterns()):
    urlpatterns.append(path("dev/login/", dev_login.dev_login, name=dev_login.NAME))

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def _debug() -> object:
    with override_settings(DEBUG=True):
        yield


def _link(next_path: str | None = None) -> str:
    link = dev_login.login_url("", next_path=next_path)
    assert link
    return link


def test_the_link_logs_a_superuser_in_and_may_be_opened_again(client: Client) -> None:
    for _ in range(2):
        response = client.get(_link())
        assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
    user = get_user_model().objects.get()
    assert (user.username, user.is_superuser, user.has_usable_password()) == ("dev", True, False)
    assert client.session["_auth_user_id"] == str(user.pk)


def test_the_link_may_lead_to_a_page_of_this_site_only(client: Client) -> None:
    assert client.get(_link("/admin/jobs/run/")).headers["Location"] == "/admin/jobs/run/"
    assert client.get(_link("https://elsewhere.example/")).headers["Location"] == "/admin/"
    assert client.get(_link("//elsewhere.example/")).headers["Location"] == "/admin/"


@pytest.mark.parametrize("token", ["", "x", "dev", signing.dumps("dev", key="another", salt="x")])
def test_a_forged_token_is_refused(client: Client, token: str) -> None:
    assert client.get("/dev/login/", {"token": token}).status_code == 403
    assert not get_user_model().objects.exists()


def test_a_token_of_yesterday_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    link = _link()
    monkeypatch.setattr(dev_login, "MAX_AGE_SECONDS", -1)
    assert client.get(link).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"REMOTE_ADDR": "192.0.2.1"},
        {"REMOTE_ADDR": ""},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.1"},
        {"HTTP_FORWARDED": "for=192.0.2.1"},
    ],
)
def test_it_works_on_this_machine_only(client: Client, headers: dict[str, str]) -> None:
    assert client.get(_link(), **headers).status_code == 403


def test_it_is_not_there_outside_of_development(client: Client) -> None:
    link = _link()
    with override_settings(DEBUG=False, ALLOWED_HOSTS=["*"]):
        assert client.get(link).status_code == 404
        assert dev_login.urlpatterns() == []


def test_a_post_is_refused(client: Client) -> None:
    assert client.post(_link()).status_code == 405
    assert settings.DEBUG

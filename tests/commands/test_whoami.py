"""`manage.py whoami`: where this command line leads, and no password."""

from __future__ import annotations

from tests.commands.conftest import Manage
from tests.world import World


def test_it_names_everything_and_no_password(manage: Manage, world: World) -> None:
    facts = manage("whoami", "--json").json
    assert (facts["environment"], facts["settings"]) == ("dev", "jobs_platform.settings")
    assert facts["database"]["url"].startswith("postgresql://jobs:***@127.0.0.1:")
    assert facts["redis"]["url"].startswith("redis://:***@127.0.0.1:")
    assert facts["database"]["version"]
    assert facts["redis"]["version"]
    assert {"python", "django", "celery"} <= facts["versions"].keys()
    assert (facts["workers"], facts["beats"]) == (1, 0)
    text = manage("whoami").out
    assert "Workers      1 live" in text

"""The JOBS dict, checked."""

from __future__ import annotations

from typing import Any

import pytest

from jobs_platform.domain.configuration import KNOWN_KEYS, MACHINES, Configuration
from jobs_platform.domain.errors import ConfigurationError
from jobs_platform.domain.machines import Machine
from jobs_platform.domain.retrying import RetryPolicy


def test_nothing_has_to_be_set() -> None:
    configuration = Configuration.from_mapping({})
    assert configuration == Configuration()
    assert configuration.environment == "dev"
    assert configuration.retries.max_attempts == 3
    assert configuration.retries_enabled_in_dev


def test_every_key_is_read() -> None:
    given: dict[str, Any] = {
        "PROJECT": "shop",
        "ENVIRONMENT": "staging",
        "DIRS": ["tasks", "shop.jobs"],
        "IGNORE_PATTERNS": ["draft_*.py"],
        "RETRIES": {"max_attempts": 5, "MIN_TIMEOUT": "2s", "randomize": False},
        "RETRIES_ENABLED_IN_DEV": False,
        "MAX_DURATION": "5m",
        "TTL": "10m",
        "MACHINE": "large-1x",
        "MACHINES": {"gpu": Machine(cpu=4, memory_gb=32)},
        "LOG_LEVEL": "debug",
        "LOG_LINES_PER_RUN": 100,
        "PREPARED_STATEMENTS": False,
        "TELEMETRY": False,
        "LEASE_SECONDS": 20,
        "HEARTBEAT_SECONDS": "2s",
        "SHUTDOWN_TIMEOUT_SECONDS": 10,
        "CANCEL_GRACE_SECONDS": 3,
        "RETENTION_DAYS": 7,
        "BASE_URL": "https://example.com/jobs/",
        "BASE_DIR": "/srv/shop",
    }
    assert set(given) == set(KNOWN_KEYS)
    configuration = Configuration.from_mapping(given)
    assert configuration == Configuration(
        project="shop",
        environment="staging",
        dirs=("tasks", "shop.jobs"),
        ignore_patterns=("draft_*.py",),
        retries=RetryPolicy(max_attempts=5, min_timeout_seconds=2, randomize=False),
        retries_enabled_in_dev=False,
        max_duration_seconds=300,
        ttl_seconds=600,
        machine="large-1x",
        machines={**MACHINES, "gpu": Machine(cpu=4, memory_gb=32)},
        log_level="debug",
        log_lines_per_run=100,
        prepared_statements=False,
        telemetry=False,
        lease_seconds=20,
        heartbeat_seconds=2,
        shutdown_timeout_seconds=10,
        cancel_grace_seconds=3,
        retention_days=7,
        base_url="https://example.com/jobs",
        base_dir="/srv/shop",
    )
    assert configuration.run_url("run_1") == "https://example.com/jobs/admin/jobs/run/run_1/change/"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"DIR": ["tasks"]}, 'Did you mean "DIRS"'),
        ({"dirs": ["tasks"]}, 'Did you mean "DIRS"'),
        ({5: 1}, "JOBS[5]"),
        ({"DIRS": "tasks"}, "must be a list of texts"),
        ({"DIRS": [""]}, "must be a text that is not empty"),
        ({"RETRIES": 3}, "must be a dict or a Retry"),
        ({"RETRIES": {"attempts": 3}}, "unknown key 'attempts'"),
        ({"RETRIES": {"max_attempts": 300}}, "between 1 and 250"),
        ({"RETRIES": {"min_timeout": "soon"}}, "cannot be read"),
        ({"RETRIES_ENABLED_IN_DEV": "no"}, "True or False"),
        ({"MAX_DURATION": "fast"}, "cannot be read"),
        ({"MAX_DURATION": 0}, "less than 1s"),
        ({"TTL": -1}, "less than zero"),
        ({"MACHINE": "large"}, 'Did you mean "large-'),
        ({"LOG_LEVEL": "WARNING"}, 'Did you mean "warn"'),
        ({"LOG_LINES_PER_RUN": -1}, "whole number from 0"),
        ({"ENVIRONMENT": "my env"}, "1 to 64 letters"),
        ({"ENVIRONMENT": ""}, "not empty"),
        ({"LEASE_SECONDS": 2}, "less than 3s"),
        ({"LEASE_SECONDS": 6}, "more than half of LEASE_SECONDS"),
        ({"HEARTBEAT_SECONDS": 16}, "more than half of LEASE_SECONDS"),
        ({"RETENTION_DAYS": 0}, "above 0"),
        ({"BASE_URL": "example.com"}, "must start with http"),
    ],
)
def test_a_bad_setting_is_refused_with_its_key_and_the_reason(
    wrong: dict[Any, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match="JOBS") as caught:
        Configuration.from_mapping(wrong)
    assert words in str(caught.value)


def test_jobs_that_is_no_dict_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must be a dict, not list"):
        Configuration.from_mapping([])  # type: ignore[arg-type]

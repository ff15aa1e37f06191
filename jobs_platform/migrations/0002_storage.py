"""Storage of the hot tables: room for an update in the same page, and an eager vacuum."""

from __future__ import annotations

from django.db import migrations

_EAGER = (
    "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, "
    "autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05"
)
_DEFAULT = (
    "autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, "
    "autovacuum_vacuum_cost_delay, autovacuum_analyze_scale_factor"
)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE jobs_run SET (fillfactor = 70, {_EAGER});"
            f"ALTER TABLE jobs_claim SET ({_EAGER});"
            "ALTER TABLE jobs_worker SET (fillfactor = 50);",
            f"ALTER TABLE jobs_run RESET (fillfactor, {_DEFAULT});"
            f"ALTER TABLE jobs_claim RESET ({_DEFAULT});"
            "ALTER TABLE jobs_worker RESET (fillfactor);",
        ),
    ]

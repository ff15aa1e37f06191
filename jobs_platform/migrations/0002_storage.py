"""Storage of the hot tables: room for an update in the same page, an eager vacuum, statistics that
are not made anew every few seconds.

An analyze reads 30,000 rows, half a second of a core in jobs_run. Three changes make a run's life,
so half a table of them is a sixth more runs, which no plan depends on.
"""

from __future__ import annotations

from django.db import migrations

_EAGER = (
    "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, "
    "autovacuum_vacuum_cost_delay = 0"
)
_NOT_EAGER = (
    "autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay"
)
_ANALYZE = "autovacuum_analyze_scale_factor"


class Migration(migrations.Migration):
    dependencies = [("jobs", "0001_initial")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE jobs_run SET (fillfactor = 70, {_EAGER}, {_ANALYZE} = 0.5);"
            f"ALTER TABLE jobs_claim SET ({_EAGER}, {_ANALYZE} = 0.5);"
            f"ALTER TABLE jobs_attempt SET ({_ANALYZE} = 0.2);"
            f"ALTER TABLE jobs_event SET ({_ANALYZE} = 0.2);"
            "ALTER TABLE jobs_worker SET (fillfactor = 50);",
            f"ALTER TABLE jobs_run RESET (fillfactor, {_NOT_EAGER}, {_ANALYZE});"
            f"ALTER TABLE jobs_claim RESET ({_NOT_EAGER}, {_ANALYZE});"
            f"ALTER TABLE jobs_attempt RESET ({_ANALYZE});"
            f"ALTER TABLE jobs_event RESET ({_ANALYZE});"
            "ALTER TABLE jobs_worker RESET (fillfactor);",
        ),
    ]

"""One run triggers many: a report for each country of the imported airports.

    python manage.py trigger import-csv --payload '{}' --wait
    python manage.py trigger country-reports --payload '{"countries": ["IS", "NO"]}' --wait

    >>> from jobs_platform import batch, runs
    >>> from tasks.examples.fan_out import country_reports
    >>> run = country_reports.trigger_and_poll({"countries": ["IS", "NO"]})
    >>> batch.retrieve(run.output["batch"]).run_count
    2
    >>> [child.tags for child in runs.list(parent=run)]
    [('country:NO', 'report'), ('country:IS', 'report')]

All runs of a batch are stored in one statement, up to 1,000 at a time, and every payload is checked
before the first one is stored. The batch tells how far they are; tags find them again:
`runs.list(tag="country:IS")`. Each child knows its parent, and is cancelled with it.
"""

from typing import Annotated, Any

from django.db import transaction
from django.db.models import Count, FloatField, Max
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from pydantic import BaseModel, Field

from jobs_platform import BatchItem, logger, task
from tasks.models import ImportedRow

Country = Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")]


class CountryReports(BaseModel):
    countries: list[Country] = Field([], description="Empty: every country with airports.")
    source: str = "airports"


class CountryReport(BaseModel):
    country: Country
    source: str


@task(id="country-reports")
def country_reports(payload: CountryReports) -> dict[str, Any]:
    """Trigger a report for each country."""
    countries = payload.countries or _countries_of(payload.source)
    if not countries:
        return {"batch": None, "reports": 0}
    items = [
        BatchItem(
            CountryReport(country=country, source=payload.source),
            tags=[f"country:{country}", "report"],
        )
        for country in countries
    ]
    # All or nothing, with whatever else this transaction writes. A retry would trigger again, so
    # the trigger comes last: nothing after it can fail.
    with transaction.atomic():
        handle = country_report.batch_trigger(items)
    logger.info("Triggered", batch=handle.id, reports=len(handle))
    return {"batch": handle.id, "reports": len(handle)}


@task(id="country-report")
def country_report(payload: CountryReport) -> dict[str, Any]:
    """Count the airports of a country and find out how high they go."""
    rows = ImportedRow.objects.filter(source=payload.source, data__country=payload.country)
    elevation = Cast(KT("data__elevation"), FloatField())
    return {"country": payload.country} | rows.aggregate(
        airports=Count("pk"), highest_feet=Max(elevation)
    )


def _countries_of(source: str) -> list[str]:
    rows = ImportedRow.objects.filter(source=source)
    return list(rows.order_by().values_list("data__country", flat=True).distinct())

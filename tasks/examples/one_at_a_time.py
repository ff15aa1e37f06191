"""Never two at once: a queue with a limit of one instead of a lock.

    python manage.py trigger one-at-a-time --payload '{"customer": "Ada"}' --wait

    >>> from jobs_platform import runs
    >>> from tasks.examples.one_at_a_time import one_at_a_time
    >>> customers = [{"customer": "Ada"}, {"customer": "Grace"}, {"customer": "Edsger"}]
    >>> batch = one_at_a_time.batch_trigger(customers)
    >>> [runs.poll(run).output["number"] for run in batch]
    [1, 2, 3]

It reads the last number, adds one and writes: two at the same time would take the same number. With
`concurrency_limit=1` there is at most one attempt in the whole fleet, whatever crashes. The others
wait in Postgres and occupy no worker; the oldest goes first, priorities count.

A retry lines up again when its time has come, so others may go before it: what must be in order as
well belongs into one run. One at a time for each customer, and many customers at once, is a
concurrency key: sync_shopify_orders.py. A limit orders runs, it does not make them safe to repeat:
create_invoice.py.
"""

from typing import Any

from django.db.models import Count
from pydantic import BaseModel, Field

from jobs_platform import Queue, task
from tasks.models import ImportedRow

NOTES = "delivery notes"


class Delivery(BaseModel):
    customer: str = Field(min_length=1, max_length=100)


@task(id="one-at-a-time", queue=Queue("one-at-a-time", concurrency_limit=1))
def one_at_a_time(payload: Delivery) -> dict[str, Any]:
    """Number a delivery note, without a gap."""
    last = ImportedRow.objects.filter(source=NOTES).aggregate(count=Count("pk"))["count"]
    number = last + 1
    ImportedRow.objects.create(source=NOTES, key=str(number), data={"customer": payload.customer})
    return {"number": number, "customer": payload.customer}

"""Safe to run twice, because it looks first: one invoice for an order, however often it runs.

    python manage.py trigger create-invoice --payload '{"order_id": "A-17", "amount": "99.90"}'

    >>> from tasks.examples.create_invoice import create_invoice
    >>> first = create_invoice.trigger_and_poll({"order_id": "A-17", "amount": "99.90"})
    >>> second = create_invoice.trigger_and_poll({"order_id": "A-17", "amount": "99.90"})
    >>> first.output["is_new"], second.output["is_new"]
    (True, False)
    >>> first.output["number"] == second.output["number"]
    True

A worker may die after its last line and before its result is stored; then the run is tried again.
So a task with effects needs an answer to "what if this has happened already?". Here it is a unique
constraint: `get_or_create` finds the invoice, and where two runs look at the same moment, Postgres
lets one insert and hands the other what the first has made.
"""

from decimal import Decimal
from typing import Any

from pydantic import BaseModel, Field

from jobs_platform import AbortTaskRunError, logger, tags, task
from tasks.models import Invoice


class CreateInvoice(BaseModel):
    order_id: str = Field(min_length=1, max_length=64)
    amount: Decimal = Field(gt=0, max_digits=12, decimal_places=2)
    currency: str = Field("EUR", pattern="^[A-Z]{3}$")


@task(id="create-invoice")
def create_invoice(payload: CreateInvoice) -> dict[str, Any]:
    """Find the invoice of an order, or create it."""
    wanted = {"amount": payload.amount, "currency": payload.currency}
    invoice, is_new = Invoice.objects.get_or_create(order_id=payload.order_id, defaults=wanted)
    if (invoice.amount, invoice.currency) != (payload.amount, payload.currency):
        raise AbortTaskRunError(
            f"Order {payload.order_id} has {invoice.number} over {invoice.amount}"
            f" {invoice.currency} already, not {payload.amount} {payload.currency}."
        )
    tags.add(f"invoice:{invoice.number}")
    logger.info("Created" if is_new else "Found", invoice=invoice.number)
    return {"number": invoice.number, "amount": invoice.amount, "is_new": is_new}

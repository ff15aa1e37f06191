"""A line for each tenant: one sync of a shop at a time, and one for all who ask in a minute.

    python manage.py trigger sync-shopify-orders --payload '{"shop": "acme"}' --wait

    >>> from datetime import UTC, datetime, timedelta
    >>> from jobs_platform import runs
    >>> from tasks.examples.sync_shopify_orders import request_sync
    >>> noon = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
    >>> first = request_sync("acme", at=noon)
    >>> second = request_sync("acme", at=noon + timedelta(seconds=59))
    >>> second.id == first.id, second.is_cached
    (True, True)
    >>> third = request_sync("acme", at=noon + timedelta(seconds=60))
    >>> runs.poll(first).output, runs.poll(third).output
    ({'shop': 'acme', 'new_orders': 60}, {'shop': 'acme', 'new_orders': 0})

Call `request_sync` wherever a shop tells of a change, as often as it does.

- The concurrency key gives each shop a line of its own in the queue: its syncs go one after
  another. Shops take turns, so ten thousand runs of one do not delay the single run of another, and
  all of them together are never more than ten. A shop that needs a limit of its own gets a queue of
  its own: `queue=Queue(f"shopify-{shop}", concurrency_limit=2)` costs nothing to declare.
- The idempotency key makes one run for a shop and minute. A sync that fails frees its key; one that
  has completed keeps it, so what changes afterwards in the same minute is found by the next sync.
  Where the last change must be seen soon, see debounced_reindex.py.
- `scope="global"`: inside a run, a plain text would be a key of that run only.
"""

from datetime import UTC, datetime
from typing import Any, Protocol

from django.db.models import BigIntegerField, Max
from django.db.models.functions import Cast
from pydantic import BaseModel, Field

from jobs_platform import Queue, Retry, RunHandle, idempotency_keys, logger, task
from tasks.models import ImportedRow

PAGE = 25
SHOPIFY = Queue("shopify", concurrency_limit=10, key_concurrency_limit=1)


class ShopApi(Protocol):
    """What the task needs of the shop's API; a client of yours takes the stand-in's place."""

    def orders_after(self, shop: str, last_id: int, *, limit: int) -> list[dict[str, Any]]:
        """Orders with a greater id, in their order; ConnectionError when it does not answer."""
        ...


class InventedShop:
    """Stands in for the API: every shop has the same sixty orders."""

    orders = 60

    def orders_after(self, shop: str, last_id: int, *, limit: int) -> list[dict[str, Any]]:
        until = min(last_id + limit, self.orders)
        return [{"id": number, "total": f"{number}.90"} for number in range(last_id + 1, until + 1)]


api: ShopApi = InventedShop()


class Sync(BaseModel):
    shop: str = Field(pattern="^[a-z0-9-]{1,60}$")


def request_sync(shop: str, *, at: datetime | None = None) -> RunHandle:
    """Have the orders of a shop synced; the same run for everybody who asks in the same minute."""
    minute = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M")
    return sync_shopify_orders.trigger(
        {"shop": shop},
        concurrency_key=shop,
        idempotency_key=idempotency_keys.create(["sync", shop, minute], scope="global"),
        tags=[f"shop:{shop}"],
    )


@task(id="sync-shopify-orders", queue=SHOPIFY, retry=Retry(max_attempts=5))
def sync_shopify_orders(payload: Sync) -> dict[str, Any]:
    """Store the orders that a shop has got since the last sync, page by page."""
    source, stored = f"shopify:{payload.shop}", 0
    while orders := api.orders_after(payload.shop, _last_id(source), limit=PAGE):
        ImportedRow.objects.bulk_create(
            ImportedRow(source=source, key=str(order["id"]), data=order) for order in orders
        )
        stored += len(orders)
        logger.info("Stored a page", shop=payload.shop, orders=stored)
    return {"shop": payload.shop, "new_orders": stored}


def _last_id(source: str) -> int:
    """Where the next page begins: what is stored says so, also after a crash."""
    rows = ImportedRow.objects.filter(source=source)
    return rows.aggregate(last=Max(Cast("key", BigIntegerField())))["last"] or 0

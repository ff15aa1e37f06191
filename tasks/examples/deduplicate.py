"""Not again so soon, and not for the same content: two ways to choose an idempotency key.

    python manage.py trigger refresh-figures --payload '{"page": "sales"}' --wait
    python manage.py trigger convert-document --payload '{"text": "Hello", "format": "html"}' --wait

At most one run for each page in 60 seconds, from the first click on:

    >>> from tasks.examples.deduplicate import convert, refresh
    >>> click, impatient_click = refresh("sales"), refresh("sales")
    >>> impatient_click.id == click.id, refresh("stock").id == click.id
    (True, False)

The key has a time to live, `idempotency_key_ttl="60s"`. It counts from the trigger, whatever
becomes of the run, and a run that fails frees its key before that.

One run for each content, however it is written:

    >>> run = convert({"text": "Hello", "format": "html"})
    >>> convert({"format": "html", "text": "Hello"}).id == run.id  # the same document
    True
    >>> convert({"text": "Hello!", "format": "html"}).id == run.id
    False

The key is a hash of the payload as the model has read it, so defaults and the order of the fields
make no difference. A hash is short, and what is secret in a payload is not shown where keys are
shown.
"""

import hashlib
import html
import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from jobs_platform import RunHandle, task
from tasks.models import ImportedRow


class Page(BaseModel):
    page: str = Field(min_length=1, max_length=100)


class Document(BaseModel):
    text: str
    format: Literal["html", "text"] = "html"


def refresh(page: str) -> RunHandle:
    """Have the figures of a page counted again, unless they have just been."""
    return refresh_figures.trigger(
        {"page": page}, idempotency_key=f"refresh-{page}", idempotency_key_ttl="60s"
    )


def convert(document: dict[str, Any]) -> RunHandle:
    """Have a document converted, once for each content."""
    payload = Document.model_validate(document)
    return convert_document.trigger(payload, idempotency_key=content_key(payload))


def content_key(payload: BaseModel) -> str:
    """The same text for equal payloads."""
    text = json.dumps(payload.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@task(id="refresh-figures")
def refresh_figures(payload: Page) -> dict[str, Any]:
    """Count what is stored of a page."""
    return {"page": payload.page, "rows": ImportedRow.objects.filter(source=payload.page).count()}


@task(id="convert-document")
def convert_document(payload: Document) -> str:
    """Convert a document."""
    if payload.format == "text":
        return payload.text
    return f"<p>{html.escape(payload.text)}</p>"

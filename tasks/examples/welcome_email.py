"""One welcome mail for each user, however often the sign-up is sent.

    python manage.py trigger welcome-email --payload '{"user_id": 7, "email": "ada@example.com"}'

    >>> from jobs_platform import idempotency_keys, runs
    >>> from tasks.examples.welcome_email import welcome, welcome_email
    >>> first, second = welcome(7, "ada@example.com"), welcome(7, "ada@example.com")
    >>> first.id == second.id, first.is_cached, second.is_cached
    (True, False, True)
    >>> runs.poll(second).output
    {'sent_to': 'ada@example.com'}

The key says "this is done or on its way". A run that failed, crashed, timed out or expired frees
its key, so the next click tries again; one that completed or was cancelled keeps it for 30 days, or
for `idempotency_key_ttl`. To send the mail once more all the same, free the key by hand:

    >>> idempotency_keys.reset(welcome_email, "welcome-7")
    True
    >>> welcome(7, "ada@example.com").is_cached
    False

A key keeps a second run from being made. It cannot know whether an attempt whose worker died had
sent the mail already: the next attempt sends it again, with the same Message-ID, by which most mail
programs show it once. With DEBUG the mail is printed, and so becomes a part of the run's log.
"""

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from pydantic import BaseModel, Field

from jobs_platform import Context, Retry, RunHandle, task

IN_THE_LOG = "django.core.mail.backends.console.EmailBackend"


class Welcome(BaseModel):
    user_id: int
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)


def welcome(user_id: int, email: str) -> RunHandle:
    """Call it in the transaction that stores the user: a rollback sends no mail."""
    return welcome_email.trigger(
        {"user_id": user_id, "email": email}, idempotency_key=f"welcome-{user_id}"
    )


@task(id="welcome-email", retry=Retry(max_attempts=5))
def welcome_email(payload: Welcome, ctx: Context) -> dict[str, str]:
    """Welcome a user by mail."""
    EmailMessage(
        subject="Welcome",
        body="Nice to have you here.",
        to=[payload.email],
        headers={"Message-ID": f"<{ctx.run.id}@example.com>"},
        connection=get_connection(IN_THE_LOG if settings.DEBUG else None),
    ).send()
    return {"sent_to": payload.email}

"""What the examples store: plain Django models, as a task of yours would use your own."""

from django.contrib.postgres.functions import TransactionNow
from django.db import models

MAX_SOURCE_LENGTH = 200
MAX_KEY_LENGTH = 200


class ImportedRow(models.Model):
    """One row of an imported file. The columns of a file are not known before: JSON holds them."""

    source = models.CharField(max_length=MAX_SOURCE_LENGTH, help_text="The name of the data set.")
    key = models.CharField(
        max_length=MAX_KEY_LENGTH,
        help_text="The value of the key column, or a hash of the row where a file has none.",
    )
    data = models.JSONField(help_text="Column to value, as the file has it.")
    imported_at = models.DateTimeField(db_default=TransactionNow())
    updated_at = models.DateTimeField(db_default=TransactionNow())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="tasks_imported_key")]

    def __str__(self) -> str:
        return f"{self.source} {self.key}"


class RejectedRow(models.Model):
    """A row that the latest import of a data set could not take, kept aside as it was read."""

    source = models.CharField(max_length=MAX_SOURCE_LENGTH)
    line = models.PositiveIntegerField(help_text="Where the row begins; the header is line 1.")
    values = models.JSONField(help_text="The raw values, in the order of the columns.")
    reason = models.TextField()
    run_id = models.CharField(max_length=64)
    rejected_at = models.DateTimeField(db_default=TransactionNow())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "line"], name="tasks_rejected_line")
        ]
        indexes = [models.Index(fields=["rejected_at"], name="tasks_rejected_age")]

    def __str__(self) -> str:
        return f"{self.source} line {self.line}: {self.reason}"


class Invoice(models.Model):
    """At most one for each order: the database says so, not the task."""

    order_id = models.CharField(max_length=64, unique=True)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    created_at = models.DateTimeField(db_default=TransactionNow())

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        return f"INV-{self.pk:06}"

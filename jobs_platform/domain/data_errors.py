"""The branch of the tree in `errors.py` that is about payloads, outputs and metadata."""

from __future__ import annotations

from typing import ClassVar

from jobs_platform.domain.error_base import JobsError


class DataError(JobsError):
    """A value cannot be stored."""

    code = "data_invalid"


class NotJsonError(DataError):
    """{path}: {reason}. Pass JSON values, dates, Decimal, UUID, Enum, dataclasses or pydantic
    models."""

    code = "not_json"
    path: str
    reason: str


class TooLargeError(DataError):
    """The {what} is {size:,} bytes of JSON; the limit is {limit:,}. Store the data elsewhere and
    pass a reference to it."""

    code = "too_large"
    what: ClassVar[str] = "value"
    size: int
    limit: int


class ValidationError(DataError):
    """The {what} of task {task_id!r} does not fit its declared type: {summary}."""

    code = "validation"
    what: ClassVar[str] = "value"
    task_id: str
    problems: tuple[str, ...]
    """`path: message`, one for each thing that pydantic refused."""

    @property
    def summary(self) -> str:
        shown = "; ".join(self.problems[:10])
        more = len(self.problems) - 10
        return f"{shown}; and {more} more" if more > 0 else shown


class PayloadError(DataError):
    """The payload cannot be used."""

    code = "payload_invalid"


class OutputError(DataError):
    """The output cannot be stored."""

    code = "output_invalid"


class MetadataError(DataError):
    """The metadata cannot be stored."""

    code = "metadata_invalid"


class PayloadNotJsonError(NotJsonError, PayloadError):
    __doc__ = NotJsonError.__doc__
    code = "payload_not_json"


class OutputNotJsonError(NotJsonError, OutputError):
    __doc__ = NotJsonError.__doc__
    code = "output_not_json"


class MetadataNotJsonError(NotJsonError, MetadataError):
    __doc__ = NotJsonError.__doc__
    code = "metadata_not_json"


class PayloadTooLargeError(TooLargeError, PayloadError):
    __doc__ = TooLargeError.__doc__
    code = "payload_too_large"
    what = "payload"


class OutputTooLargeError(TooLargeError, OutputError):
    __doc__ = TooLargeError.__doc__
    code = "output_too_large"
    what = "output"


class MetadataTooLargeError(TooLargeError, MetadataError):
    __doc__ = TooLargeError.__doc__
    code = "metadata_too_large"
    what = "metadata"


class PayloadValidationError(ValidationError, PayloadError):
    __doc__ = ValidationError.__doc__
    code = "payload_validation"
    what = "payload"


class OutputValidationError(ValidationError, OutputError):
    __doc__ = ValidationError.__doc__
    code = "output_validation"
    what = "output"

"""Models of the engine are for reading: every ORM write is refused here.

The engine writes through statements of its own (`jobs_platform.sql`), so there is no door to open
by mistake. Must not grow behaviour.
"""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models

from jobs_platform.domain.errors import WriteGuardError


def _refuse(model: str, method: str) -> NoReturn:
    raise WriteGuardError(model=model, operation=method)


class ReadOnlyQuerySet(models.QuerySet[Any]):
    """A query set whose writing methods say which door to use instead."""

    def create(self, **kwargs: Any) -> NoReturn:
        _refuse(self.model.__name__, "create")

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(self.model.__name__, "bulk_create")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(self.model.__name__, "bulk_update")

    def get_or_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(self.model.__name__, "get_or_create")

    def update_or_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(self.model.__name__, "update_or_create")

    def update(self, **kwargs: Any) -> NoReturn:
        _refuse(self.model.__name__, "update")

    def delete(self) -> NoReturn:
        _refuse(self.model.__name__, "delete")

    def _insert(self, *args: Any, **kwargs: Any) -> NoReturn:
        """The way of a fixture, which goes round `save`."""
        _refuse(self.model.__name__, "save")

    def _update(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(self.model.__name__, "save")

    def _raw_delete(self, using: str | None) -> NoReturn:
        """The way of a cascade that begins at somebody else's row."""
        _refuse(self.model.__name__, "delete")


class EngineModel(models.Model):
    """Base of every table that the engine owns."""

    objects = models.Manager.from_queryset(ReadOnlyQuerySet)()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(type(self).__name__, "save")

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse(type(self).__name__, "delete")

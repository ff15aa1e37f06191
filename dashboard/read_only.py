"""The base of every page over the engine's tables: to be read, never to be edited."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ShowFacets
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from .lists import CappedChangeList, CappedPaginator
from .marks import NOTHING


class ReadOnlyAdmin(ModelAdmin):
    """Whoever may view a model sees it; nobody may add, change or delete here."""

    paginator = CappedPaginator
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_filter_submit = True
    list_disable_select_all = True
    list_fullwidth = True
    sortable_by = ()
    empty_value_display = NOTHING

    class Media:
        css = {"all": ("jobs_dashboard/jobs.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # A replica may be behind: what is shown is what the engine knows.
        return super().get_queryset(request).using(DEFAULT_DB_ALIAS)

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[CappedChangeList]:
        return CappedChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

"""Lists over tables of any size: counted up to a cap, newest first, never counted whole."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

from .time_limit import TooSlowError, time_limit

CAP = 10_000
_COUNT_SECONDS = 1.0


class CappedPaginator(Paginator):
    """Counts up to `CAP` rows, and for at most a second; the pages end there."""

    template_name = "admin/jobs/pagination.html"
    is_capped = False

    @cached_property
    def count(self) -> int:
        try:
            with time_limit(_COUNT_SECONDS):
                found = self.object_list.order_by()[: CAP + 1].count()
        except TooSlowError:
            found = CAP + 1
        self.is_capped = found > CAP
        return min(found, CAP)


class CappedChangeList(ChangeList):
    """Django's change list without its second count, and with pages that cannot be missed."""

    def get_filters(self, request: HttpRequest) -> tuple[Any, ...]:
        *found, _ = super().get_filters(request)
        # Django calls a filter active when its field was submitted, even an empty one.
        is_active = any(spec.has_value() for spec in found[0] if hasattr(spec, "has_value"))
        return (*found, is_active or bool(found[2]))

    def get_results(self, request: HttpRequest) -> None:
        try:
            super().get_results(request)
        except IncorrectLookupParameters:
            if self.page_num == 1:
                raise
            self.page_num = 1
            super().get_results(request)
        # Nobody counts the unfiltered table; equal numbers keep Unfold from offering that figure.
        self.full_result_count = self.result_count

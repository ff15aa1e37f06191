"""Filters that are fields of one form: chosen, typed, and applied together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.contrib.admin import ListFilter, ModelAdmin
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from jobs_platform.models import Environment

from .formats import read_id

Choice = tuple[str, str]
MAX_CHOICES = 500


class FormFilter(ListFilter):
    """A filter whose value is typed or chosen. `names` are its parameters in the URL."""

    template = "admin/jobs/filter.html"
    names: tuple[str, ...]

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, list[str]],
        model: type[Model],
        model_admin: ModelAdmin,
    ) -> None:
        super().__init__(request, params, model, model_admin)
        # Unfold hands all parameters on that no filter has used, and the page is not one of ours
        # either: other filters start again on the first.
        self.used_parameters[PAGE_VAR] = ""
        self.values: dict[str, list[str]] = {}
        for name in self.expected_parameters():
            given = [value.strip() for value in params.pop(name, [])]
            self.values[name] = [value for value in given if value and "\x00" not in value]
            self.used_parameters[name] = self.values[name]

    def expected_parameters(self) -> list[str]:
        return list(self.names)

    def has_output(self) -> bool:
        return True

    def has_value(self) -> bool:
        """Whether it narrows the list."""
        return any(self.values.values())

    def value(self, name: str | None = None) -> str:
        given = self.values[name or self.names[0]]
        return given[-1] if given else ""

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        form = forms.Form(data=self.values_for_form())
        form.fields.update(self.fields())
        yield {"form": form, "suggestions": self.suggestions(), "list_id": f"{self.names[0]}-list"}

    def values_for_form(self) -> dict[str, Any]:
        return {name: self.value(name) for name in self.names}

    def fields(self) -> dict[str, forms.Field]:
        raise NotImplementedError

    def suggestions(self) -> Iterable[str]:
        """Words that a browser offers while a value is typed."""
        return ()


class ChoiceFilter(FormFilter):
    """One of a few values; a value from the URL is offered even when it is not among them."""

    def options(self) -> Iterable[Choice]:
        raise NotImplementedError

    def fields(self) -> dict[str, forms.Field]:
        options = [("", "All"), *self.options()]
        if self.value() not in dict(options):
            options.append((self.value(), self.value()))
        field = forms.ChoiceField(
            label=f"By {self.title}",
            choices=options,
            required=False,
            widget=UnfoldAdminSelectWidget,
        )
        return {self.names[0]: field}


class TextFilter(FormFilter):
    """One typed value, matched exactly."""

    placeholder = ""

    def fields(self) -> dict[str, forms.Field]:
        attrs = {"placeholder": self.placeholder, "autocomplete": "off"}
        if self.suggestions():
            attrs["list"] = f"{self.names[0]}-list"
        field = forms.CharField(
            label=f"By {self.title}",
            required=False,
            widget=UnfoldAdminTextInputWidget(attrs=attrs),
        )
        return {self.names[0]: field}


class IdFilter(TextFilter):
    """The rows that point to one object, named by its public id or UUID."""

    prefix: str
    column: str

    @property
    def placeholder(self) -> str:
        return f"{self.prefix}_…"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.has_value():
            return queryset
        key = read_id(self.prefix, self.value())
        return queryset.filter(**{self.column: key}) if key else queryset.none()


class EnvironmentFilter(ChoiceFilter):
    """Rows of one environment, by its slug."""

    title = "environment"
    names = ("environment",)

    def options(self) -> Iterable[Choice]:
        slugs = Environment.objects.order_by("slug").values_list("slug", flat=True)
        return [(slug, slug) for slug in slugs[:MAX_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(environment__slug=self.value()) if self.has_value() else queryset

"""The examples' tables in Django's admin."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from tasks.models import ImportedRow, Invoice, RejectedRow


@admin.register(ImportedRow)
class ImportedRowAdmin(ModelAdmin):
    list_display = ("key", "source", "data", "updated_at")
    list_filter = ("source",)
    search_fields = ("key",)


@admin.register(RejectedRow)
class RejectedRowAdmin(ModelAdmin):
    list_display = ("source", "line", "reason", "run_id", "rejected_at")
    list_filter = ("source",)
    search_fields = ("reason", "run_id")


@admin.register(Invoice)
class InvoiceAdmin(ModelAdmin):
    list_display = ("number", "order_id", "amount", "currency", "created_at")
    search_fields = ("order_id",)

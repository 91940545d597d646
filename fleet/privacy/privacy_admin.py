"""The admin's view of retention, private time and wishes of people: to look at. Who erases does so with proof."""

from django.contrib import admin

from fleet.admin import ReadOnlyAdmin
from fleet.models import ErasedName, PersonWish, PrivateRule, PrivateSpan, Retention


@admin.register(Retention)
class RetentionAdmin(ReadOnlyAdmin):
    list_display = ("fleet", "records_months", "places_months", "day_sums_months", "version", "changed_at")
    list_select_related = ("fleet",)
    search_fields = ("fleet__slug__exact",)


@admin.register(PrivateRule)
class PrivateRuleAdmin(ReadOnlyAdmin):
    list_display = ("kind", "fleet", "vehicle", "driver", "since", "until")
    list_select_related = ("fleet", "vehicle", "driver")
    search_fields = ("fleet__slug__exact", "vehicle__slug__exact", "driver__slug__exact")


@admin.register(PrivateSpan)
class PrivateSpanAdmin(ReadOnlyAdmin):
    list_display = ("vehicle", "begins_at", "ends_at", "rule")
    list_select_related = ("vehicle", "rule")
    search_fields = ("vehicle__slug__exact",)


@admin.register(PersonWish)
class PersonWishAdmin(ReadOnlyAdmin):
    list_display = ("kind", "fleet", "driver", "state", "created_at")
    list_select_related = ("fleet", "driver")
    search_fields = ("fleet__slug__exact", "driver__slug__exact")


@admin.register(ErasedName)
class ErasedNameAdmin(ReadOnlyAdmin):
    list_display = ("fleet",)
    list_select_related = ("fleet",)
    search_fields = ("fleet__slug__exact",)

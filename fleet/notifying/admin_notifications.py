"""The admin's way with notifications, escalation and webhooks; fleet/admin.py loads it."""

from django.contrib import admin

from fleet.admin import LargeTableAdmin, ReadOnlyAdmin
from fleet.models import (
    AlertEvent,
    Escalation,
    EscalationStep,
    Notification,
    NotificationChoice,
    Webhook,
    WebhookDelivery,
)


@admin.register(AlertEvent)
class AlertEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "kind", "alert", "severity", "by")
    list_select_related = ("alert",)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "channel", "state", "event", "attempts", "error", "read_at")
    list_filter = ("channel", "state")
    list_select_related = ("user", "event")
    search_fields = ("user__email__istartswith",)


@admin.register(NotificationChoice)
class NotificationChoiceAdmin(LargeTableAdmin):
    list_display = ("user", "fleet", "page_reach", "email_reach", "quiet_from", "quiet_to")
    list_select_related = ("user", "fleet")
    autocomplete_fields = ("user", "fleet")
    search_fields = ("user__email__istartswith",)


@admin.register(EscalationStep)
class EscalationStepAdmin(LargeTableAdmin):
    list_display = ("fleet", "severity", "after_minutes", "role")
    list_select_related = ("fleet",)
    autocomplete_fields = ("fleet", "people")


@admin.register(Escalation)
class EscalationAdmin(ReadOnlyAdmin):
    list_display = ("alert", "step", "due_at", "fired_at")
    list_select_related = ("alert", "step")


@admin.register(Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    """Made and changed on the fleet's page, which shows the secret once."""

    list_display = ("name", "fleet", "url", "enabled", "failing_since", "delivered_at")
    list_select_related = ("fleet",)
    search_fields = ("name__istartswith", "fleet__slug__istartswith")
    exclude = ("sealed_secret", "sealed_old_secret")


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "webhook", "kind", "state", "attempts", "status", "latency_ms", "due_at")
    list_filter = ("state",)
    list_select_related = ("webhook",)
    search_fields = ("public_id__exact",)

"""Devices' configuration and TUF metadata in the admin: to look at, not to change."""

from django.contrib import admin

from devices.models import (
    ConfigContent,
    ConfigLayer,
    ConfigVersion,
    DeviceConfig,
    DeviceConfigVersion,
    DeviceGroup,
    GroupMember,
    TufMetadata,
    TufRepository,
)
from fleet.admin import ReadOnlyAdmin


@admin.register(DeviceGroup)
class DeviceGroupAdmin(ReadOnlyAdmin):
    """Groups and configurations are looked up here; they are changed on the pages and over the API, with a history."""

    list_display = ("name", "slug", "fleet", "created_at")
    list_select_related = ("fleet",)
    search_fields = ("slug__istartswith", "fleet__slug__istartswith")


@admin.register(ConfigLayer)
class ConfigLayerAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "version")
    list_select_related = ("fleet", "group", "device")
    search_fields = ("fleet__slug__exact", "group__slug__exact", "device__slug__exact")


@admin.register(ConfigVersion)
class ConfigVersionAdmin(ReadOnlyAdmin):
    list_display = ("layer", "number", "author_name", "note", "at")
    list_select_related = ("layer__fleet", "layer__group", "layer__device")
    search_fields = ("author_name__istartswith",)


@admin.register(DeviceConfig)
class DeviceConfigAdmin(ReadOnlyAdmin):
    list_display = (
        "device",
        "fleet",
        "state",
        "version",
        "running_version",
        "drifted_since",
        "refused_reason",
    )
    list_filter = ("state",)
    list_select_related = ("device", "fleet")
    search_fields = ("device__slug__istartswith", "fleet__slug__exact")


@admin.register(GroupMember)
class GroupMemberAdmin(ReadOnlyAdmin):
    list_display = ("device", "group")
    list_select_related = ("device", "group")
    search_fields = ("device__slug__exact", "group__slug__exact")


@admin.register(ConfigContent)
class ConfigContentAdmin(ReadOnlyAdmin):
    list_display = ("digest",)
    search_fields = ("digest__startswith",)


@admin.register(DeviceConfigVersion)
class DeviceConfigVersionAdmin(ReadOnlyAdmin):
    list_display = ("device", "version", "content", "at")
    list_select_related = ("device", "content")
    search_fields = ("device__slug__exact",)


@admin.register(TufRepository)
class TufRepositoryAdmin(ReadOnlyAdmin):
    list_display = ("__str__",)
    list_select_related = ("fleet",)


@admin.register(TufMetadata)
class TufMetadataAdmin(ReadOnlyAdmin):
    """What updaters are served; it is signed, so there is nothing to edit."""

    list_display = ("__str__", "repository", "expires_at", "created_at")
    list_filter = ("role",)
    list_select_related = ("repository__fleet",)

"""Profiles in the admin: who has which version and where; never the ciphertext, never changed by hand."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from fleet.admin import ReadOnlyAdmin
from profiles.models import DriverProfile, EncryptedProfile, ProfileCopy


@admin.register(DriverProfile)
class DriverProfileAdmin(ReadOnlyAdmin):
    list_display = ("driver", "version", "updated_at", "erased_at")
    list_select_related = ("driver",)
    search_fields = ("driver__slug__istartswith",)


@admin.register(EncryptedProfile)
class EncryptedProfileAdmin(ReadOnlyAdmin):
    list_display = ("profile", "version", "size_bytes", "vehicle", "restored_from", "created_at")
    list_select_related = ("profile__driver", "vehicle")
    search_fields = ("profile__driver__slug__istartswith",)
    exclude = ("ciphertext",)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[EncryptedProfile]":
        rows: QuerySet[EncryptedProfile] = super().get_queryset(request)
        return rows.defer("ciphertext")


@admin.register(ProfileCopy)
class ProfileCopyAdmin(ReadOnlyAdmin):
    list_display = ("profile", "vehicle", "version", "at", "told_erased_at")
    list_select_related = ("profile__driver", "vehicle")
    search_fields = ("profile__driver__slug__istartswith", "vehicle__slug__istartswith")

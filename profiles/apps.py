from django.apps import AppConfig


class ProfilesConfig(AppConfig):
    name = "profiles"

    def ready(self) -> None:
        from profiles import leaving

        leaving.register()

    default_auto_field = "django.db.models.BigAutoField"

from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    name = "telemetry"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from telemetry import private, reports
        from telemetry.derivation import activity

        activity.register()
        private.register()
        reports.register()

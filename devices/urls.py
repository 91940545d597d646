"""Paths of the devices' API and pages."""

from django.urls import path

from devices.api import (
    commands,
    configuration,
    device,
    devices,
    groups,
    models,
    rollouts,
    service,
    session,
    status,
    tokens,
    tuf,
)
from devices.api import registration as secrets
from devices.pages import (
    commandlist,
    configedit,
    deviceacts,
    onboarding,
    registration,
    releaseacts,
    releases,
    statuses,
)
from devices.pages import commands as pages
from devices.pages import configuration as configured
from devices.pages import device as device_pages
from devices.pages import devices as device_lists

_FLEET = "api/v1/fleet/<slug:fleet>"
_GROUP = f"{_FLEET}/groups/<slug:group>"
_DEVICE = "api/v1/devices/<str:device>"
_RESTORE = "config/versions/<int:version>/restore"

_PAGES = "fleets/<slug:fleet>/configuration"
_GROUP_PAGES = f"{_PAGES}/groups/<slug:group>"
_DEVICE_PAGES = f"{_PAGES}/devices/<str:device>"

urlpatterns = [
    path(_PAGES, configured.overview, name="configuration"),
    path(f"{_PAGES}/edit", configedit.edit, name="configuration-edit"),
    path(f"{_PAGES}/history", configedit.history, name="configuration-history"),
    path(_GROUP_PAGES, configured.group, name="group-configuration"),
    path(f"{_GROUP_PAGES}/edit", configedit.edit, name="group-configuration-edit"),
    path(f"{_GROUP_PAGES}/history", configedit.history, name="group-configuration-history"),
    path(_DEVICE_PAGES, configured.device, name="device-configuration"),
    path(f"{_DEVICE_PAGES}/edit", configedit.edit, name="device-configuration-edit"),
    path(f"{_DEVICE_PAGES}/history", configedit.history, name="device-configuration-history"),
    path("api/v1/config/keys", configuration.ConfigKeysView.as_view(), name="config-keys"),
    path(f"{_FLEET}/config", configuration.FleetConfigView.as_view(), name="fleet-config"),
    path(
        f"{_FLEET}/config/versions", configuration.FleetVersionsView.as_view(), name="fleet-config-versions"
    ),
    path(f"{_FLEET}/{_RESTORE}", configuration.FleetRestoreView.as_view(), name="fleet-config-restore"),
    path(f"{_FLEET}/groups", groups.GroupsView.as_view(), name="device-groups"),
    path(_GROUP, groups.GroupView.as_view(), name="device-group"),
    path(f"{_GROUP}/config", configuration.GroupConfigView.as_view(), name="group-config"),
    path(
        f"{_GROUP}/config/versions", configuration.GroupVersionsView.as_view(), name="group-config-versions"
    ),
    path(f"{_GROUP}/{_RESTORE}", configuration.GroupRestoreView.as_view(), name="group-config-restore"),
    path(f"{_DEVICE}/config", configuration.DeviceConfigView.as_view(), name="device-config"),
    path(f"{_DEVICE}/config/report", configuration.ConfigReportView.as_view(), name="device-config-report"),
    path(
        f"{_DEVICE}/config/versions",
        configuration.DeviceVersionsView.as_view(),
        name="device-config-versions",
    ),
    path(f"{_DEVICE}/{_RESTORE}", configuration.DeviceRestoreView.as_view(), name="device-config-restore"),
    path("api/car-status", status.CarStatusView.as_view(), name="car-status"),
    path("api/v1/devices/<str:device>", device.DeviceView.as_view(), name="device"),
    path("api/v1/devices/<str:device>/statuses", device.StatusListView.as_view(), name="device-statuses"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/devices", statuses.statuses, name="vehicle-devices"),
    path("api/v1/auth/login", session.LoginView.as_view(), name="auth-login"),
    path("api/v1/auth/refresh", session.RefreshView.as_view(), name="auth-refresh"),
    path("api/v1/devices", devices.DevicesView.as_view(), name="devices"),
    path("api/v1/devices/<str:device>/tokens", tokens.TokensView.as_view(), name="device-tokens"),
    path("api/v1/devices/<str:device>/tokens/rotate", tokens.RotateView.as_view(), name="token-rotate"),
    path("api/v1/devices/<str:device>/tokens/<str:token>", tokens.TokenView.as_view(), name="device-token"),
    path(f"{_DEVICE}/retire", service.RetireView.as_view(), name="device-retire"),
    path(f"{_DEVICE}/revive", service.ReviveView.as_view(), name="device-revive"),
    path(
        f"{_FLEET}/registration-secrets",
        secrets.RegistrationSecretsView.as_view(),
        name="registration-secrets",
    ),
    path(
        f"{_FLEET}/registration-secrets/<str:secret>",
        secrets.RegistrationSecretView.as_view(),
        name="registration-secret",
    ),
    path(
        "api/v1/devices/<str:device>/commands", commands.DeviceCommandsView.as_view(), name="device-commands"
    ),
    path(
        "api/v1/devices/<str:device>/commands/<str:command>/ack",
        commands.AckView.as_view(),
        name="command-ack",
    ),
    path(
        "api/v1/vehicles/<str:name>/commands",
        commands.VehicleCommandsView.as_view(),
        name="api-vehicle-commands",
    ),
    path("api/v1/commands/kinds", commands.KindsView.as_view(), name="command-kinds"),
    path("api/v1/commands/<str:command>", commands.CommandView.as_view(), name="command"),
    path("api/v1/commands/<str:command>/cancel", commands.CancelView.as_view(), name="command-cancel"),
    path("api/v1/commands/<str:command>/approve", commands.ApproveView.as_view(), name="command-approve"),
    path("api/v1/commands/<str:command>/resend", commands.ResendView.as_view(), name="command-resend"),
    path("commands", commandlist.listing, name="commands"),
    path("devices", device_lists.device_list, name="devices-page"),
    path("devices/new", onboarding.new_device, name="device-new"),
    path("devices/<slug:fleet>/<slug:device>/", device_pages.device_page, name="device-page"),
    path("devices/<slug:fleet>/<slug:device>/act", deviceacts.act, name="device-act"),
    path("devices/<slug:fleet>/<slug:device>/waiting", onboarding.waiting, name="device-waiting"),
    path("fleets/<slug:fleet>/registration", registration.registration, name="registration"),
    path("releases", releases.release_list, name="releases"),
    path("releases/new", releases.new_release, name="release-new"),
    path("releases/<int:release>/", releases.release_page, name="release-page"),
    path("releases/<int:release>/act", releaseacts.act, name="release-act"),
    path("vehicles/<slug:fleet>/<slug:vehicle>/commands", pages.panel, name="vehicle-commands"),
    path(
        "vehicles/<slug:fleet>/<slug:vehicle>/commands/newest", pages.newest, name="vehicle-commands-newest"
    ),
    path(
        "vehicles/<slug:fleet>/<slug:vehicle>/commands/<str:command>", pages.act, name="vehicle-command-act"
    ),
    path("api/v1/models", models.ModelsView.as_view(), name="models"),
    path("api/v1/models/<str:model>/download", models.DownloadView.as_view(), name="model-download"),
    path("api/v1/models/<str:model>/report", models.ReportView.as_view(), name="model-report"),
    path("api/v1/models/<str:model>/withdraw", rollouts.WithdrawView.as_view(), name="model-withdraw"),
    path("api/v1/models/<str:model>/rollout", rollouts.RolloutView.as_view(), name="model-rollout"),
    path("api/v1/model-files/<str:link>", models.FileView.as_view(), name="model-file"),
    path("api/v1/models/tuf/metadata", tuf.SharedRepositoryView.as_view(), name="tuf"),
    path("api/v1/models/tuf/metadata/<str:file>", tuf.SharedMetadataView.as_view(), name="tuf-metadata"),
    path("api/v1/models/tuf/targets/<path:shared_target>", tuf.SharedTargetView.as_view(), name="tuf-target"),
    path("api/v1/models/tuf/<slug:fleet>/metadata", tuf.RepositoryView.as_view(), name="fleet-tuf"),
    path(
        "api/v1/models/tuf/<slug:fleet>/metadata/<str:file>",
        tuf.MetadataView.as_view(),
        name="fleet-tuf-metadata",
    ),
    path(
        "api/v1/models/tuf/<slug:fleet>/targets/<path:target>",
        tuf.TargetView.as_view(),
        name="fleet-tuf-target",
    ),
]

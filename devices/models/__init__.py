from devices.models.commands import Command, Path, State
from devices.models.configuration import (
    ConfigContent,
    ConfigLayer,
    ConfigState,
    ConfigVersion,
    DeviceConfig,
    DeviceConfigVersion,
    DeviceGroup,
    GroupMember,
)
from devices.models.devices import TOKEN_MARK, Device, DeviceToken, Scope, digest_of
from devices.models.registration import RegistrationSecret
from devices.models.releases import InstallState, ModelInstall, ModelRelease, Rollout
from devices.models.status import DeviceStatus
from devices.models.tuf import TufMetadata, TufRepository, TufRole

__all__ = [
    "TOKEN_MARK",
    "Command",
    "ConfigContent",
    "ConfigLayer",
    "ConfigState",
    "ConfigVersion",
    "Device",
    "DeviceConfig",
    "DeviceConfigVersion",
    "DeviceGroup",
    "DeviceStatus",
    "DeviceToken",
    "GroupMember",
    "InstallState",
    "ModelInstall",
    "ModelRelease",
    "Path",
    "RegistrationSecret",
    "Rollout",
    "Scope",
    "State",
    "TufMetadata",
    "TufRepository",
    "TufRole",
    "digest_of",
]

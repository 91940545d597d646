from fleet.models.alerts import Alert, AlertNote, AlertReport, AlertState, Severity
from fleet.models.audit import AuditEntry
from fleet.models.drivers import Driver, check_driver_id
from fleet.models.fleets import Fleet, Membership, Role
from fleet.models.idempotency import IdempotencyKey
from fleet.models.invitations import Invitation, InvitationState
from fleet.models.notifications import (
    AlertEvent,
    Channel,
    Escalation,
    EscalationStep,
    Happening,
    Notification,
    NotificationChoice,
    NotificationState,
    Reach,
)
from fleet.models.people import User
from fleet.models.rollups import (
    DriverDay,
    DriverMonth,
    FleetDay,
    Part,
    RollupState,
    TouchedDay,
    VehicleDay,
    VehicleMonth,
)
from fleet.models.rules import AlertRule, Direction, Episode, RuleKind
from fleet.models.scenarios import Annotation, Piece, Scenario, Upload, Video
from fleet.models.second_factor import RecoveryCode, has_second_factor
from fleet.models.sensors import SensorType
from fleet.models.sessions import Session
from fleet.models.trips import TripSummary
from fleet.models.vehicles import Kind, Motion, Vehicle, VehicleState
from fleet.models.webhooks import DeliveryState, Webhook, WebhookDelivery

__all__ = [
    "Alert",
    "AlertEvent",
    "AlertNote",
    "AlertReport",
    "AlertRule",
    "AlertState",
    "Annotation",
    "AuditEntry",
    "Channel",
    "DeliveryState",
    "Direction",
    "Driver",
    "DriverDay",
    "DriverMonth",
    "Episode",
    "Escalation",
    "EscalationStep",
    "Fleet",
    "FleetDay",
    "Happening",
    "IdempotencyKey",
    "Invitation",
    "InvitationState",
    "Kind",
    "Membership",
    "Motion",
    "Notification",
    "NotificationChoice",
    "NotificationState",
    "Part",
    "Piece",
    "Reach",
    "RecoveryCode",
    "Role",
    "RollupState",
    "RuleKind",
    "Scenario",
    "SensorType",
    "Session",
    "Severity",
    "TouchedDay",
    "TripSummary",
    "Upload",
    "User",
    "Vehicle",
    "VehicleDay",
    "VehicleMonth",
    "VehicleState",
    "Video",
    "Webhook",
    "WebhookDelivery",
    "check_driver_id",
    "has_second_factor",
]

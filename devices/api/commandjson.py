"""Commands as JSON: what may be asked for, what is answered, and their examples in the schema."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from devices.commands import LONGEST_TTL_S, SHORTEST_TTL_S, TTL_S
from devices.models import Command, Path, State


class DeviceCommandSerializer(serializers.Serializer[Any]):
    """What a device needs to know."""

    id = serializers.UUIDField()
    action = serializers.CharField()
    parameters = serializers.DictField()
    expires_at = serializers.DateTimeField()


class DeviceCommandsSerializer(serializers.Serializer[Any]):
    commands = DeviceCommandSerializer(many=True)


class OrderSerializer(serializers.Serializer[Any]):
    action = serializers.CharField(
        help_text="A kind of /commands/kinds, or an action of the device's own: `^[a-z][a-z0-9_.-]{0,63}$`."
    )
    parameters = serializers.DictField(required=False, help_text="As the kind's schema says; at most 4 KiB.")
    ttl_s = serializers.IntegerField(
        required=False,
        default=TTL_S,
        min_value=SHORTEST_TTL_S,
        max_value=LONGEST_TTL_S,
        help_text="Time to live: not delivered later than this many seconds from now.",
    )
    device = serializers.CharField(
        required=False, help_text="Of several, which; else the vehicle's newest active one."
    )


class AckSerializer(serializers.Serializer[Any]):
    """Further keys are kept as the command's result."""

    success = serializers.BooleanField()
    message = serializers.CharField(required=False, allow_blank=True, allow_null=True, default="")


class AckAnswerSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    state = serializers.ChoiceField(State.choices)
    success = serializers.BooleanField()
    message = serializers.CharField()


class CommandSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    vehicle_id = serializers.CharField()
    device_id = serializers.CharField()
    action = serializers.CharField()
    parameters = serializers.DictField()
    state = serializers.ChoiceField(State.choices)
    needs_approval = serializers.BooleanField()
    sender = serializers.CharField(allow_null=True)
    approver = serializers.CharField(allow_null=True)
    path = serializers.ChoiceField(Path.choices, allow_null=True, help_text="How it was delivered.")
    message = serializers.CharField(help_text="What the device said, or why it ended.")
    result = serializers.DictField()
    resend_of = serializers.UUIDField(allow_null=True, help_text="The command this one repeats.")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    approved_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class CommandPageSerializer(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = CommandSerializer(many=True)


class KindSerializer(serializers.Serializer[Any]):
    action = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    needs_approval = serializers.BooleanField()
    schema = serializers.DictField(help_text="JSON Schema of `parameters`.")


class KindsSerializer(serializers.Serializer[Any]):
    kinds = KindSerializer(many=True)


def told(command: Command) -> dict[str, Any]:
    """A command for people. Needs vehicle, device, sender and approver selected."""
    return {
        "id": str(command.public_id),
        "vehicle_id": command.vehicle.slug,
        "device_id": command.device.slug,
        "action": command.action,
        "parameters": command.parameters,
        "state": command.state_at(timezone.now()).value,
        "needs_approval": command.dangerous,
        "sender": command.sender and str(command.sender),
        "approver": command.approver and str(command.approver),
        "path": command.path or None,
        "message": command.message,
        "result": command.result,
        "resend_of": str(command.resend_of.public_id) if command.resend_of else None,
        "created_at": command.created_at,
        "expires_at": command.expires_at,
        "approved_at": command.approved_at,
        "delivered_at": command.delivered_at,
        "ended_at": command.ended_at,
    }


HEATING = OpenApiExample(
    "Start heating",
    {"action": "start_heating", "parameters": {"target_temp": 21}, "ttl_s": 300},
    request_only=True,
)
QUEUED = OpenApiExample(
    "One command",
    {
        "commands": [
            {
                "id": "6c1f7a3e-6f0e-4a52-8a55-0a6c8f3f7d1b",
                "action": "start_heating",
                "parameters": {"target_temp": 21},
                "expires_at": "2026-01-15T08:05:00+00:00",
            }
        ]
    },
    response_only=True,
)
DONE = OpenApiExample("Done", {"success": True, "message": "heating"}, request_only=True)

"""Sending again what was never acknowledged. The first delivery stays the only one of its command: what is sent again
is a new command with an id of its own, linked to the old one."""

from devices import commands
from devices.commands import Order, RefusedError
from devices.models import Command
from devices.models.commands import UNDONE, WAITING, State
from fleet.audit import Actor


def resend(actor: Actor, command: Command) -> Command:
    """A new command of the same content and time to live. While one is under way already: that one, and no second.

    Goes to the same device, or where that no longer is the vehicle's to its newest active one. A dangerous one needs
    approval again. Raises RefusedError.
    """
    with commands.locked(Command.objects.filter(pk=command.pk)) as (old, now):
        state = old.state_at(now)
        if state not in UNDONE:
            raise RefusedError(_REASONS.get(state, f"The command is {state.value}."))
        for other in old.resends.select_related(
            "vehicle", "device", "sender", "approver", "resend_of"
        ).order_by("-id"):
            if other.state_at(now) in {*WAITING, State.DELIVERED}:
                return other
        device = old.device if old.device.active and old.device.vehicle_id == old.vehicle_id else None
        device = device or commands.device_of(old.vehicle)
        if device is None:
            raise RefusedError("This vehicle has no active device to send to.")
        device.vehicle = old.vehicle
        ttl_s = round((old.expires_at - old.created_at).total_seconds())
        return commands.send(actor, device, Order(old.action, old.parameters, ttl_s, resend_of=old))


_REASONS = {
    State.SUCCEEDED: "The device did it: there is nothing to send again.",
    State.DELIVERED: "The device has it and may still answer: wait until it counts as not answered.",
    State.QUEUED: "It is queued: its device has yet to fetch it.",
    State.AWAITING_APPROVAL: "It awaits approval.",
}

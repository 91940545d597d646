"""What a member wants to hear of a fleet: the row they chose, or what goes without saying for their role."""

from django.utils import timezone

from fleet.models import Channel, Membership, Notification, NotificationChoice, Reach, Role

_MANAGE = {Role.MANAGER, Role.OWNER}


def of(membership: Membership) -> NotificationChoice:
    """Needs `fleet` selected. Not saved, where nothing was chosen yet."""
    mine = NotificationChoice.objects.filter(user=membership.user_id, fleet=membership.fleet_id).first()
    return mine or usual(membership)


def usual(membership: Membership) -> NotificationChoice:
    reach = Reach.CRITICAL if membership.role in _MANAGE else Reach.NEVER
    return NotificationChoice(user_id=membership.user_id, fleet=membership.fleet, email_reach=reach)


def keep(row: NotificationChoice) -> None:
    """And look again at what waits: the quiet hours may be others now."""
    row.save()
    waiting = Notification.objects.filter(
        user=row.user_id, fleet=row.fleet_id, channel=Channel.EMAIL, claim=""
    )
    waiting.filter(due_at__gt=timezone.now(), attempts=0).update(due_at=timezone.now())

"""In which state the tokens of devices are, in one word each: for lists and filters."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, CharField, Exists, OuterRef, Q, QuerySet, TextChoices, Value, When

from devices.models import Device, DeviceToken

SOON = timedelta(days=14)


class TokenState(TextChoices):
    """The first that is true."""

    NONE = "none", "no usable token"
    ACCOUNT = "account", "logs in with its account"
    UNUSED = "unused", "never used"
    EXPIRING = "expiring", "expires soon"
    GOOD = "good", "in use"


def with_token_state(devices: "QuerySet[Device]", now: datetime) -> "QuerySet[Any]":
    """Annotates `token_state`. Expiring: every token it has used and may still use ends within SOON."""
    usable = DeviceToken.objects.usable(now).filter(device=OuterRef("pk"))
    used = usable.exclude(last_used_at=None)
    lasting = used.filter(Q(expires_at=None) | Q(expires_at__gt=now + SOON))
    cases = (
        When(~Exists(usable) & Q(account__is_active=True, active=True), then=Value(TokenState.ACCOUNT)),
        When(~Exists(usable), then=Value(TokenState.NONE)),
        When(~Exists(used), then=Value(TokenState.UNUSED)),
        When(~Exists(lasting), then=Value(TokenState.EXPIRING)),
    )
    state = Case(*cases, default=Value(TokenState.GOOD), output_field=CharField())
    return devices.annotate(token_state=state)

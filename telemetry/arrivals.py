"""What has come from a device so far: for the page where somebody waits for its first record."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Min, Sum

from devices import refusals
from devices.models import Device
from devices.refusals import Refusal
from telemetry.models import Frame, Stream


@dataclass(frozen=True, slots=True)
class Arrived:
    """How far a device is: its token was used, something was kept, it was worked on, something was refused."""

    first_at: datetime | None
    last_at: datetime | None
    records: int
    in_inbox: datetime | None
    """Since when something is committed and waits for a worker."""
    token_used_at: datetime | None
    refusal: Refusal | None
    """The newest one, where nothing good came after it."""
    bad_token: Refusal | None

    @property
    def waiting(self) -> bool:
        return self.first_at is None

    @property
    def key(self) -> str:
        """Changes when there is something new to tell."""
        refused = [self.refusal and self.refusal.at, self.bad_token and self.bad_token.at]
        moments = [self.first_at, self.in_inbox, self.token_used_at, *refused]
        return "-".join([str(self.records), *(f"{m.timestamp():.0f}" if m else "" for m in moments)])


def arrived(device: Device) -> Arrived:
    """Three queries and the cache."""
    worked = Stream.objects.filter(device=device).aggregate(
        first=Min("created_at"), last=Max("updated_at"), records=Sum("records")
    )
    inbox = Frame.objects.filter(device=device).aggregate(since=Min("received_at"))["since"]
    tokens = list(device.tokens.values_list("prefix", "last_used_at"))
    used = max((moment for _, moment in tokens if moment), default=None)
    last: datetime | None = worked["last"]
    refusal = refusals.newest(device.pk)
    if refusal and last and refusal.at < last:
        refusal = None
    bad = refusals.newest_of_tokens([prefix for prefix, _ in tokens])
    if bad and used and bad.at < used:
        bad = None
    return Arrived(worked["first"], last, worked["records"] or 0, inbox, used, refusal, bad)

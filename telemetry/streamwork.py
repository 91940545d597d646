"""One stream's part of a drain: its stored state, its gaps and held records, and what must be written back."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from edge.protocol.reconstructor import Reconstructor
from edge.protocol.signals import BY_NUMBER
from edge.protocol.telemetry_pb2 import Telemetry
from telemetry import store, streamrows
from telemetry.frames import Pending, Record, from_us, to_us
from telemetry.models import Gap, HeldFrame, Quality
from telemetry.streamrows import StreamRow, restored
from telemetry.streams import Segment, Work, advance, record_of, replay, sent_only


class StreamWork:
    def __init__(self, stream: StreamRow, frames: Sequence[Pending]) -> None:
        self.stream = stream
        self.was_new, self.was_lost = not stream.pk, stream.wants_keyframe
        self.frames = frames
        self.work = Work()
        self.new: list[Record] = []
        self.replaced: list[Record] = []
        self.refilled: list[tuple[Record, int]] = []
        """Stored records in which late data changed the number of reconstructed values, and by how much."""

    @property
    def waiting(self) -> list[Pending]:
        return self.work.waiting

    def reconstruct(self, overdue_us: int) -> None:
        """Fill `new`, `replaced` and `waiting`; keeps the stream's row in step, unsaved."""
        if self.stream.stream_id == 0:
            if self.frames:
                self._reconstruct_unverified()
        else:
            self._reconstruct_verified(overdue_us)
        self.stream.records += len(self.new)
        self.stream.repeated += self.work.repeated
        if self.new:
            newest = max(record.time_us for record in self.new)
            self.stream.last_us = max(newest, self.stream.last_us or newest)

    def news(self) -> tuple[str, str] | None:
        """What people who watch the vehicle should read, and its level."""
        if self.stream.stream_id == 0:
            return None
        if self.stream.wants_keyframe and not self.was_lost:
            return "a record is missing; nothing is guessed until it or a keyframe comes", "warning"
        if self.was_lost and not self.stream.wants_keyframe:
            return "values are complete again", "info"
        return ("a logger started sending", "info") if self.was_new else None

    def drop_stored(self) -> None:
        """Forget records that history has although the stream does not know them: its row was pruned."""
        stored = store.stored_among(map(_key, self.frames))
        self.work.repeated += sum(_key(frame) in stored for frame in self.frames)
        self.frames = [frame for frame in self.frames if _key(frame) not in stored]

    def _reconstruct_verified(self, overdue_us: int) -> None:
        stream, work = self.stream, self.work
        head = Segment(stream.next_sequence, stream.restored(), lost=stream.wants_keyframe)
        behind = [frame for frame in self.frames if frame.sequence < head.next]
        ahead = [frame for frame in self.frames if frame.sequence >= head.next]
        held = self._held() if stream.pk and (behind or head.lost) else []
        if behind:
            self._reconstruct_late(behind, held, overdue_us)
        resting = [f for f in held if f.sequence >= head.next]
        merged = _merged(ahead, resting)
        work.repeated += len(ahead) + len(resting) - len(merged)
        advance(head, merged, overdue_us, work)
        stream.next_sequence, stream.wants_keyframe = head.next, head.lost
        stream.keep(head.decoder)
        completed = {frame.sequence for frame in work.completed}
        for record in work.records:
            (self.replaced if record.sequence in completed else self.new).append(record)
        stream.incomplete += sum(r.quality == Quality.INCOMPLETE for r in self.new) - len(self.replaced)
        self._save_gaps()

    def _reconstruct_late(self, behind: list[Pending], held: list[Pending], overdue_us: int) -> None:
        """Records older than the head: they fill a gap, or they are repeats."""
        known = {frame.sequence for frame in held}
        fresh = [frame for frame in behind if frame.sequence not in known]
        self.work.repeated += len(behind) - len(fresh)
        for gap in self.stream.gaps:
            members = [f for f in fresh if gap.first <= f.sequence <= gap.last]
            if not members:
                continue
            fresh = [frame for frame in fresh if not gap.first <= frame.sequence <= gap.last]
            segment = Segment(gap.first, restored(gap.decoder), gap.last)
            resting = [f for f in held if gap.first <= f.sequence <= gap.last]
            advance(segment, _merged(members, resting), overdue_us, self.work)
            if segment.complete:
                gap.delete()
            else:
                gap.first, gap.decoder = segment.next, segment.decoder.dump()
                gap.save()
        self._reconstruct_strays(fresh)

    def _reconstruct_strays(self, frames: list[Pending]) -> None:
        """Older than the head and in no gap: almost always repeats; the table itself decides."""
        stored = store.stored_among(_key(frame) for frame in frames)
        for frame in frames:
            if _key(frame) in stored:
                self.work.repeated += 1
                continue
            message = Telemetry.FromString(frame.payload)
            if message.keyframe:
                advance(Segment(frame.sequence, Reconstructor(), frame.sequence), [frame], 0, self.work)
            else:
                record = record_of(frame, message, sent_only(message), Quality.INCOMPLETE)
                self.work.omitted[frame.sequence] = message.omitted
                self.work.records.append(record)

    def _reconstruct_unverified(self) -> None:
        stream, frames = self.stream, list(self.frames)
        decoder = stream.restored()
        tail: Iterable[tuple[Pending, Record]] = ()
        newest_us = stream.last_us
        if newest_us is not None and frames[0].time_us <= newest_us:
            stored = store.stored_among(map(_key, frames))
            frames = [frame for frame in frames if _key(frame) not in stored]
            self.work.repeated += len(self.frames) - len(frames)
        if not frames:
            return
        if newest_us is not None and frames[0].time_us <= newest_us:
            place = stream.vehicle_id, stream.device_id, frames[0].time_us
            before = store.unverified_before(*place)
            decoder = restored((before.decoder if before else None) or {})
            tail = ((_as_sent(row), row) for row in store.unverified_since(*place))
        self.new, self.refilled, after = replay(decoder, frames, tail)
        self.replaced = [record for record, _ in self.refilled]
        if after is not None:
            stream.keep(after)

    def _held(self) -> list[Pending]:
        stream = self.stream
        return [
            Pending(
                row.pk, stream.device_id, stream.vehicle_id, stream.stream_id, row.sequence,
                to_us(row.time), to_us(row.received_at), bytes(row.payload), True,
            )
            for row in stream.held
        ]  # fmt: skip

    def _save_gaps(self) -> None:
        work = self.work
        if (work.opened or work.held) and not self.stream.pk:
            streamrows.save_one(self.stream)
        if work.opened:
            Gap.objects.bulk_create(
                Gap(stream_id=self.stream.pk, first=s.next, last=s.last, decoder=s.decoder.dump())
                for s in work.opened
                if s.last is not None
            )
        if work.completed:
            HeldFrame.objects.filter(pk__in=[frame.id for frame in work.completed]).delete()
        if work.held:
            HeldFrame.objects.bulk_create(
                (
                    HeldFrame(
                        stream_id=self.stream.pk,
                        sequence=frame.sequence,
                        time=from_us(frame.time_us),
                        received_at=from_us(frame.received_us),
                        payload=frame.payload,
                    )
                    for frame in work.held
                ),
                ignore_conflicts=True,
            )

    def skipped(self, record: Record) -> int:
        """How many signals of a new record its message left out."""
        if record.stream_id == 0:
            return len(record.signals) - record.sent.bit_count()
        return self.work.omitted.get(record.sequence, 0)


def load_streams(taken: Sequence[Pending]) -> list[StreamWork]:
    """The streams of these records; a new one starts empty and is saved with its first records."""
    frames: dict[streamrows.Key, list[Pending]] = defaultdict(list)
    for frame in taken:
        frames[frame.device_id, frame.stream_id].append(frame)
    rows = streamrows.load(frames)
    return [StreamWork(rows[key], members) for key, members in frames.items() if key in rows]


def save_streams(streams: Iterable[StreamWork]) -> None:
    streamrows.save([work.stream for work in streams])


def _merged(frames: list[Pending], held: list[Pending]) -> list[Pending]:
    """In order of sequence; a record that is held already is not taken twice."""
    known = {frame.sequence for frame in held}
    fresh = [frame for frame in frames if frame.sequence not in known]
    return sorted([*fresh, *held], key=lambda frame: frame.sequence) if held else fresh


def _key(frame: Pending) -> store.Key:
    return frame.vehicle_id, frame.time_us, frame.stream_id, frame.sequence


def _as_sent(record: Record) -> Pending:
    """The message a stored record came from, as far as the predictor cares."""
    told = record.decoder or {}
    message = Telemetry(
        timestamp=record.time_us / 1e6,
        keyframe=told.get("keyframe", False),
        catalogue=told.get("named", ""),
        unavailable=told.get("unavailable", []),
    )
    for number, value in record.signals.items():
        if record.sent >> number & 1:
            setattr(message, BY_NUMBER[number].name, value)
    return Pending(
        0, record.device_id, record.vehicle_id, 0, record.sequence, record.time_us, record.received_us,
        message.SerializeToString(),
    )  # fmt: skip

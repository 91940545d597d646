import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge import door as door_module
from edge import sender as sender_module
from edge.door import AddressError, Door, retry_after
from edge.frames import Frame, Stream
from edge.protocol.encoder import Encoder
from edge.sender import Pack, Sender
from edge.spool import Spool
from edge.tests.receiver import TOKEN, Fault, Receiver

VIN = "WBY1Z21040V000001"


class Rig:
    """A spool, its sender and the car's encoder."""

    def __init__(self, folder: Path, url: str, pack: Pack, **options: bool) -> None:
        self.spool = Spool(folder / "spool.sqlite3", synchronous="NORMAL")
        self.encoder = Encoder(VIN)
        self.asked: list[int] = []
        self.sender = Sender(self.spool, Door(url, TOKEN, **options), pack, self._note)
        self._clock = itertools.count(1_700_000_000)

    def _note(self, stream: Stream, sequence: int) -> None:
        assert stream.stream_id == self.encoder.stream_id
        self.asked.append(sequence)

    def put(self, count: int, speed: float = 50.0) -> None:
        frames = []
        for _ in range(count):
            message = self.encoder.encode(next(self._clock), {"speed": speed, "battery": 80.0})
            message.vin, message.stream_id = "", 0
            frames.append(Frame(message.sequence, message.SerializeToString()))
        self.spool.put(Stream(self.encoder.stream_id, VIN), frames)

    def send_all(self, timeout: float = 10.0) -> None:
        self.sender.start()
        self.sender.finish()
        assert self.sender.join(timeout), self.sender.trouble

    def close(self) -> None:
        self.sender.stop(0)
        assert self.sender.join(5)
        self.spool.close()


@pytest.fixture
def rig(tmp_path: Path, receiver: Receiver) -> Iterator[Rig]:
    rig = Rig(tmp_path, receiver.url, Pack(batch=10, linger_s=0.05))
    yield rig
    rig.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(door_module, "TIMEOUT_S", (0.3, 0.3))


def sequences(receiver: Receiver) -> list[int]:
    return [record.sequence for record in receiver.records]


def test_batches_go_out_in_order_over_one_connection(rig: Rig, receiver: Receiver) -> None:
    rig.put(35)
    rig.send_all()
    assert sequences(receiver) == list(range(1, 36))
    assert all(record.signals for record in receiver.records)
    assert rig.spool.waiting == 0 and receiver.connections == 1
    tally = rig.sender.tally
    assert (tally.sent, tally.acknowledged, tally.posts, tally.retries, tally.repeated) == (35, 35, 4, 0, 0)
    assert tally.bytes == sum(size for _, size, _ in receiver.posts)


def test_a_few_records_wait_for_more_no_longer_than_they_may(tmp_path: Path, receiver: Receiver) -> None:
    rig = Rig(tmp_path, receiver.url, Pack(batch=10, linger_s=0.3))
    rig.sender.start()
    began = time.monotonic()
    rig.put(3)
    wait_for(lambda: len(receiver.records) == 3)
    assert 0.2 < receiver.posts[0][0] - began < 0.6
    rig.put(10)
    wait_for(lambda: len(receiver.records) == 13)
    assert time.monotonic() - receiver.posts[0][0] < 0.25, "a full batch does not linger"
    rig.close()


@pytest.mark.parametrize(
    "fault", [500, 502, 503, 408, 429, 200, "drop", "lose the answer", "half an answer", "log-in page"]
)
def test_trouble_is_outlasted_and_nothing_is_lost_or_doubled(
    rig: Rig, receiver: Receiver, fault: int | str
) -> None:
    receiver.faults.extend([Fault(fault)] * 3)
    rig.put(25)
    rig.send_all()
    assert sequences(receiver) == list(range(1, 26))
    assert rig.sender.tally.acknowledged == 25 and rig.sender.tally.retries == 3
    assert rig.sender.tally.repeated == (10 if "answer" in str(fault) else 0)
    assert rig.sender.trouble == ""


def test_waits_grow_and_differ(rig: Rig, receiver: Receiver) -> None:
    receiver.faults.extend([Fault(503)] * 5)
    rig.put(1)
    rig.send_all()
    times = [at for at, _, _ in receiver.posts]
    waits = [after - before for before, after in itertools.pairwise(times)]
    for k, wait in enumerate(waits):
        assert 0.01 * 2**k <= wait <= 0.02 * 2**k + 0.1


@pytest.mark.parametrize("status", [429, 503])
def test_the_servers_own_wish_comes_before_ours(rig: Rig, receiver: Receiver, status: int) -> None:
    receiver.faults.append(Fault(status, {"Retry-After": "1"}))
    rig.put(1)
    rig.send_all()
    (first, _, _), (second, _, _) = receiver.posts
    assert 1.0 <= second - first < 2.5


def test_retry_after_is_understood_in_both_forms() -> None:
    assert retry_after("7") == 7
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert (retry_after("Fri, 21 Oct 2099 07:28:00 GMT") or 0) > 1e9
    assert retry_after("soon") is None and retry_after(None) is None and retry_after("-3") == 0


def test_a_server_that_does_not_answer_is_asked_again(rig: Rig, receiver: Receiver) -> None:
    receiver.delay_s = 0.5
    rig.put(3)
    rig.sender.start()
    wait_for(lambda: rig.sender.trouble == "the server does not answer in time")
    assert rig.spool.waiting == 3
    receiver.delay_s = 0
    wait_for(lambda: rig.spool.waiting == 0)
    assert sequences(receiver) == [1, 2, 3]


def test_a_server_that_comes_up_later_gets_everything(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    rig = Rig(tmp_path, f"http://127.0.0.1:{port}", Pack(batch=10, linger_s=0.05))
    rig.put(12)
    rig.sender.start()
    wait_for(lambda: rig.sender.tally.retries >= 2)
    assert rig.sender.trouble == "no connection to the server" and not rig.sender.denied
    with Receiver(port) as receiver:
        wait_for(lambda: rig.spool.waiting == 0)
        assert sequences(receiver) == list(range(1, 13))
    rig.close()


def test_refused_records_are_kept_aside_with_the_reason_and_never_sent_again(
    rig: Rig, receiver: Receiver
) -> None:
    receiver.refuse = lambda message: "too odd" if message.sequence in {4, 5} else None
    rig.put(10)
    rig.send_all()
    assert sequences(receiver) == [1, 2, 3, 6, 7, 8, 9, 10]
    letters = rig.spool.dead_letters()
    assert [(letter.frame.sequence, letter.refusal.reason) for letter in letters] == [
        (4, "too odd"),
        (5, "too odd"),
    ]
    assert rig.sender.tally.rejected == 2 and rig.sender.tally.acknowledged == 8
    assert len(receiver.posts) == 1
    assert rig.asked == [6], "what follows a refused record needs a keyframe"


def test_a_batch_of_bad_records_only_is_kept_aside_whole(rig: Rig, receiver: Receiver) -> None:
    receiver.refuse = lambda _message: "no"
    rig.put(4)
    rig.send_all()
    assert len(rig.spool.dead_letters()) == 4 and rig.spool.waiting == 0


@pytest.mark.parametrize(
    "rejected", [[{"record": 99}], [{"record": True}], [{"record": "0"}], "all", ["0"], [{"field": "speed"}]]
)
def test_a_list_of_refusals_that_makes_no_sense_deletes_nothing(
    rig: Rig, receiver: Receiver, rejected: object
) -> None:
    receiver.faults.append(Fault(200, body={"status": "success", "accepted": 1, "rejected": rejected}))
    rig.put(3)
    rig.send_all()
    assert sequences(receiver) == [1, 2, 3] and not rig.spool.dead_letters()


def test_a_400_that_names_no_record_narrows_down_to_the_bad_one(rig: Rig, receiver: Receiver) -> None:
    receiver.faults.extend([Fault(400, body={"status": "error", "reason": "cannot be read"})] * 4)
    rig.put(10)
    rig.send_all()
    assert [letter.frame.sequence for letter in rig.spool.dead_letters()] == [1]
    assert sequences(receiver) == list(range(2, 11))


def test_a_batch_too_large_is_halved_until_it_fits(rig: Rig, receiver: Receiver) -> None:
    receiver.largest = 150
    rig.put(30)
    rig.send_all()
    assert sequences(receiver) == list(range(1, 31))
    assert not rig.spool.dead_letters()


def test_one_record_too_large_for_the_server_is_kept_aside(rig: Rig, receiver: Receiver) -> None:
    receiver.largest = 10
    rig.put(1)
    rig.send_all()
    assert rig.spool.dead_letters()[0].refusal.reason.startswith("413")


@pytest.mark.parametrize("status", [301, 401, 403, 404, 415])
def test_a_refused_token_or_address_waits_for_a_person_and_keeps_the_data(
    rig: Rig, receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.faults.append(Fault(status, {"Location": "https://elsewhere.example"} if status == 301 else {}))
    rig.put(5)
    rig.sender.start()
    wait_for(lambda: rig.sender.denied)
    time.sleep(0.2)
    assert len(receiver.posts) == 1, "not hammered"
    assert rig.spool.waiting == 5
    assert str(status) in caplog.text and "Check token, VIN and address" in caplog.text
    assert TOKEN not in caplog.text
    rig.sender.stop(0.5)
    assert rig.sender.join(2) and rig.spool.waiting == 5


def test_a_keyframe_asked_for_is_passed_on(rig: Rig, receiver: Receiver) -> None:
    receiver.want_keyframe_at.add(3)
    rig.put(5)
    rig.send_all()
    assert rig.asked == [1]


def test_compressed_on_request(tmp_path: Path, receiver: Receiver) -> None:
    rig = Rig(tmp_path, receiver.url, Pack(batch=50), compress=True)
    rig.put(40)
    rig.send_all()
    assert sequences(receiver) == list(range(1, 41))
    (_, size, headers) = receiver.posts[0]
    assert headers["Content-Encoding"] == "gzip" and size < 40 * 20
    rig.close()


def test_stopping_flushes_for_a_moment_and_leaves_the_rest(rig: Rig, receiver: Receiver) -> None:
    receiver.delay_s = 0.1
    rig.put(200)
    rig.sender.start()
    wait_for(lambda: bool(receiver.records))
    began = time.monotonic()
    rig.sender.stop(0.35)
    assert rig.sender.join(2)
    assert time.monotonic() - began < 1
    assert 0 < rig.spool.waiting < 190
    assert rig.spool.waiting + rig.sender.tally.acknowledged == 200


def test_a_netrc_file_does_not_replace_the_token(
    rig: Rig, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    rig.put(1)
    rig.send_all()
    assert len(receiver.records) == 1


@pytest.mark.parametrize("url", ["", "fleet.example.org", "ftp://fleet.example.org", "http://"])
def test_an_address_that_is_none_is_explained(url: str) -> None:
    with pytest.raises(AddressError, match="is not an address"):
        Door(url, TOKEN)


def wait_for(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        threading.Event().wait(0.005)

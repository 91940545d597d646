"""Large files: one for each wish, whoever dies on the way; for whom they were made, and for a while."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connections
from django.test import Client
from django.utils import timezone

from fleet.audit import Actor
from fleet.journeys.trips import keep
from fleet.models import AuditEntry, ExportState, Fleet, Membership, ReportExport, Role, TripSummary, User
from fleet.recording import footage
from fleet.reports import exports, registry
from fleet.reports.exports import FOLDER, LEASE, TooManyError
from fleet.reports.wishes import Wish
from fleet.tests.test_rollups import told
from tests.world import make_car, make_person

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BACKEND = "django.contrib.auth.backends.ModelBackend"
WISH = Wish(first=NOW.date() - timedelta(days=9), last=NOW.date(), zone="Europe/Berlin")


@pytest.fixture(autouse=True)
def files_of_its_own(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def stored() -> list[str]:
    try:
        return [f"{FOLDER}/{name}" for name in default_storage.listdir(FOLDER)[1]]
    except FileNotFoundError:
        return []


@pytest.fixture
def owner(db: None) -> User:
    return drives()


def drives() -> User:
    car = make_car("north", "van")
    keep(car.vehicle, [told(f"t{n}", NOW - timedelta(hours=20 + n), 30, 10) for n in range(5)])
    return make_person("owner@example.com", "north", Role.OWNER)


def asked(user: User, kind: str = "csv", report: str = "trips", wish: Wish = WISH) -> ReportExport:
    found = registry.named(report)
    assert found
    return exports.ask_for(Actor(str(user), user), Fleet.objects.get(slug="north"), found, kind, wish)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def test_from_the_button_to_the_file(owner: User) -> None:
    client = client_of(owner)
    page = "/fleets/north/reports/trips"
    query = f"days=0&from={WISH.first}&to={WISH.last}"
    reply = client.post(f"{page}/export", {"format": "csv", "query": query})
    waiting = client.get(reply["Location"]).content.decode()
    assert "<noscript><meta http-equiv" in waiting and "Cancel" in waiting
    assert client.get(f"{reply['Location']}/file").status_code == 404
    assert exports.make_due() == 1
    export = ReportExport.objects.get()
    assert (export.state, export.rows, export.rows_expected) == (ExportState.DONE, 5, 5)
    assert export.filename == f"trips-north-{WISH.first}-{WISH.last}.csv"
    done = client.get(reply["Location"]).content.decode()
    assert f"Download {export.filename}" in done and "noscript" not in done
    file = client.get(f"{reply['Location']}/file")
    assert b"".join(file) == client.get(f"{page}?{query}&format=csv").content
    assert export.filename in file["Content-Disposition"]
    assert export.filename in client.get("/fleets/north/reports").content.decode()
    assert AuditEntry.objects.get(action="report.exported").after == {"report": "trips", "format": "csv"}


def test_only_for_whom_it_was_made(owner: User) -> None:
    export = asked(owner)
    exports.make_due()
    make_car("south", "bus")
    people = [
        make_person("chief@example.com", "north", Role.MANAGER),
        make_person("other@example.com", "south", Role.OWNER),
    ]
    addresses = [
        f"/exports/{export.uid}", f"/exports/{export.uid}/file", f"/api/v1/fleet/north/exports/{export.uid}",
        f"/api/v1/fleet/north/exports/{export.uid}/file",
    ]  # fmt: skip
    assert [client_of(owner).get(address).status_code for address in addresses] == [200] * 4
    for person in people:
        assert [client_of(person).get(address).status_code for address in addresses] == [404] * 4
    assert not client_of(people[0]).get("/api/v1/fleet/north/exports").json()["results"]
    Membership.objects.filter(user=owner).delete()
    assert [client_of(owner).get(address).status_code for address in addresses] == [404] * 4


def test_over_the_api(owner: User) -> None:
    client, address = client_of(owner), "/api/v1/fleet/north/exports"
    body = {
        "report": "trips",
        "format": "xlsx",
        "since": "2026-11-01",
        "until": "2026-11-20",
        "columns": ["start"],
    }
    key = {"Idempotency-Key": "once"}
    first = client.post(address, body, content_type="application/json", headers=key)
    again = client.post(address, body, content_type="application/json", headers=key)
    assert (
        first.status_code == 202 and again.json()["id"] == first.json()["id"] and first.json()["file"] is None
    )
    exports.make_due()
    told = client.get(first["Location"]).json()
    assert told["state"] == "done" and told["rows"] == 5
    part = client.get(told["file"], headers={"Range": "bytes=0-3"})
    assert part.status_code == 206 and b"".join(part) == b"PK\x03\x04"
    assert client.delete(first["Location"]).status_code == 409
    for wrong, field in (({"report": "x"}, "report"), ({"format": "pdf"}, "format"), ({"days": 0}, "days")):
        reply = client.post(address, body | wrong, content_type="application/json")
        assert reply.status_code == 400 and reply.json()["errors"][0]["field"] == field, reply.json()


class TestWhoDies:
    def test_another_takes_it_up_and_there_is_one_file(self, owner: User) -> None:
        asked(owner)
        now = timezone.now()
        dead = exports.claim(now)
        assert dead and exports.claim(now) is None, "nobody else has it meanwhile"
        with time_machine.travel(now + LEASE + timedelta(seconds=1), tick=False):
            assert exports.make_due() == 1
            assert exports.make(dead) is False, "it was only slow, and finds that it has lost"
        export = ReportExport.objects.get()
        assert export.state == ExportState.DONE and export.attempts == 2 and stored() == [export.stored_as]

    def test_the_claim_is_looked_at_again_when_the_file_is_written(self, owner: User) -> None:
        asked(owner)
        slow = exports.claim(timezone.now())
        assert slow
        with time_machine.travel(timezone.now() + LEASE + timedelta(seconds=1), tick=False):
            assert exports.claim(timezone.now())
        assert exports._finish(slow, 5, 4, ContentFile(b"late")) is False
        assert not stored() and ReportExport.objects.get().state == ExportState.RUNNING

    def test_after_three_it_fails_visibly_and_can_be_made_again(self, owner: User) -> None:
        export = asked(owner)
        moment = timezone.now()
        for _ in range(exports.TRIES):
            assert exports.claim(moment)
            moment += LEASE + timedelta(seconds=1)
        assert exports.claim(moment) is None
        page = client_of(owner).get(f"/exports/{export.uid}").content.decode()
        assert "ended 3 times" in page and "Make it again" in page
        reply = client_of(owner).post(f"/exports/{export.uid}", {"act": "again"})
        assert exports.make_due() == 1 and str(export.uid) not in reply["Location"]

    def test_what_goes_wrong_is_tried_again_and_told(
        self, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        export = asked(owner)
        monkeypatch.setattr("fleet.reports.exports.FOLDER", "a\0b")  # a storage that refuses
        with time_machine.travel(timezone.now(), tick=False) as clock:
            for _ in range(exports.TRIES):
                assert exports.make_due() == 0
                clock.shift(61)
        export.refresh_from_db()
        assert (export.state, export.due_at) == (ExportState.FAILED, None) and "ValueError" in export.error

    @pytest.mark.postgres
    def test_many_workers_make_each_once(self, transactional_db: None) -> None:
        user = drives()
        for _ in range(exports.UNDER_WAY_MOST):
            asked(user)
        start, made = threading.Barrier(4), []

        def work() -> None:
            start.wait()
            made.append(exports.make_due())
            connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rows = ReportExport.objects.all()
        assert sum(made) == len(stored()) == exports.UNDER_WAY_MOST
        assert {(row.state, row.attempts) for row in rows} == {("done", 1)}


def test_cancelled_on_the_way(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "_TOLD_EVERY_S", 0.0)
    car = make_car("north", "other").vehicle
    trips = [
        TripSummary(fleet=car.fleet, vehicle=car, trip_id=f"many-{n}", start_time=NOW - timedelta(minutes=n))
        for n in range(2_500)
    ]
    TripSummary.objects.bulk_create(trips)
    export = asked(owner)
    running = exports.claim(timezone.now())
    assert running
    tell, seen = exports._tell, list[int]()

    def cancelling(row: ReportExport, **facts: Any) -> None:
        seen.append(facts["rows"])
        if facts["rows"]:
            client_of(owner).post(f"/exports/{export.uid}", {"act": "cancel"})
        tell(row, **facts)

    monkeypatch.setattr(exports, "_tell", cancelling)
    assert exports.make(running) is False and seen == [0, 2_000] and not stored()
    assert ReportExport.objects.get().state == ExportState.CANCELLED
    assert exports.make_due() == 0


def test_a_sheet_that_cannot_hold_it(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.reports.files.SHEET_ROWS", 4)
    asked(owner, "xlsx")
    asked(owner, "csv")
    assert exports.make_due() == 1
    failed = ReportExport.objects.get(format="xlsx")
    assert failed.state == ExportState.FAILED and "Choose CSV" in failed.error and failed.attempts == 1


def test_who_left_gets_none(owner: User) -> None:
    asked(owner)
    Membership.objects.all().delete()
    assert exports.make_due() == 0 and ReportExport.objects.get().state == ExportState.FAILED


def test_so_many_at_once_and_no_more(owner: User) -> None:
    for _ in range(exports.UNDER_WAY_MOST):
        asked(owner)
    with pytest.raises(TooManyError):
        asked(owner)
    reply = client_of(owner).post(
        "/api/v1/fleet/north/exports", {"report": "trips", "format": "csv"}, content_type="application/json"
    )
    assert reply.status_code == 409


def test_files_expire_and_strays_are_swept(owner: User) -> None:
    export = asked(owner)
    exports.make_due()
    stray = footage.save(footage.new_name(FOLDER), ContentFile(b"of a worker that died"))
    exports.expire(timezone.now())
    assert len(stored()) == 2, "a young stray's row may be on its way"
    with time_machine.travel(timezone.now() + exports.KEPT + timedelta(hours=1), tick=False):
        assert client_of(owner).get(f"/exports/{export.uid}/file").status_code == 404
        assert exports.expire(timezone.now()) == 1
        page = client_of(owner).get(f"/exports/{export.uid}").content.decode()
        assert "deleted after seven days" in page and "Make it again" in page
    assert not stored() and not default_storage.exists(stray)
    assert client_of(owner).get(f"/exports/{uuid4()}").status_code == 404


def test_the_list_is_filtered_sorted_paged_and_a_file(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.pages.export_list.PAGE_SIZE", 2)
    for kind, report in (("csv", "trips"), ("xlsx", "trips"), ("json", "stops")):
        asked(owner, kind, report)
    exports.make_due()
    client, page = client_of(owner), "/fleets/north/reports"
    first, second = (client.get(f"{page}?page={n}").content.decode() for n in (1, 2))
    assert "1–2 of 3" in first and "stops-north" in first and "trips-north" not in second.split("3–3 of 3")[1]
    only = client.get(f"{page}?report=trips&format=xlsx").content.decode()
    assert ".xlsx</strong>" in only and ".csv</strong>" not in only and "1–1 of 1" in only
    assert "No file matches" in client.get(f"{page}?state=failed").content.decode()
    assert client.get(f"{page}?state=x&sort=x").status_code == 200
    told = client.get(f"{page}?report=trips&sort=oldest&export=csv").content.decode().splitlines()
    assert told[0].startswith("id,report,format,") and [line.split(",")[2] for line in told[1:]] == [
        "csv",
        "xlsx",
    ]
    assert told[1].split(",")[5:7] == ["done", "5"]

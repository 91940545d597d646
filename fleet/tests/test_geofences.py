"""Geofences through pages, files and API: made, changed, read, refused."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from fleet.geofencing.fencefeatures import UnreadableError, read
from fleet.models import AlertRule, AuditEntry, Fleet, Geofence, Role, Vehicle, Visit
from fleet.models.geofences import Edge
from fleet.tests.conftest import People
from tests.world import make_person

PAGE = "/fleets/north/geofences"
API = "/api/v1/geofences"
FORM = {
    "name": "Depot", "kind": "circle", "geometry": '{"type": "Point", "coordinates": [13.53, 52.43]}',
    "radius_m": "150", "colour": "#2563eb", "hysteresis_m": "20", "all_vehicles": "on",
}  # fmt: skip
FEATURE: dict[str, Any] = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [13.53, 52.43]},
    "properties": {"name": "Depot", "kind": "circle", "radius_m": 150, "dwell_s": 900},
}


@pytest.fixture
def owner(people: People, client: Client) -> Client:
    client.force_login(people.owner)
    return client


def logged_in(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def make(fleet: Fleet, name: str = "Yard", **fields: Any) -> Geofence:
    usual: dict[str, Any] = {"kind": "circle", "radius_m": 100, "since": timezone.now()}
    point = {"type": "Point", "coordinates": [13.53, 52.43]}
    return Geofence.objects.create(fleet=fleet, name=name, geometry=point, **{**usual, **fields})


def visit(fence: Geofence, vehicle: Vehicle, day: int, **fields: Any) -> Visit:
    at = timezone.now().replace(year=2026, month=11, day=day, hour=12)
    told = {"entered_at": at, "entry": Edge.BETWEEN, "first_at": at, "last_at": at, "geofence_version": 1}
    return Visit.objects.create(geofence=fence, vehicle=vehicle, **{**told, **fields})


class TestPages:
    def test_from_the_form_to_its_page(self, owner: Client) -> None:
        assert owner.get(f"{PAGE}/new").status_code == 200
        answer = owner.post(f"{PAGE}/new", FORM | {"dwell_min": "15", "schedule": "Mon-Fri 22:00-06:00"})
        fence = Geofence.objects.get()
        assert answer.headers["Location"] == f"{PAGE}/{fence.pk}"
        assert (fence.radius_m, fence.dwell_s, fence.version) == (150, 900, 1)
        assert fence.schedule == [{"days": [1, 2, 3, 4, 5], "from": "22:00", "to": "06:00"}]
        text = owner.get(f"{PAGE}/{fence.pk}").content.decode()
        assert "Circle, radius 150 m" in text and "0.071 km²" in text and "Mon–Fri 22:00–06:00" in text
        text = owner.get(f"{PAGE}/{fence.pk}/edit").content.decode()
        assert "Mon-Fri 22:00-06:00" in text and "52.43" in text
        owner.post(f"{PAGE}/{fence.pk}/edit", FORM | {"name": "Yard"})
        fence.refresh_from_db()
        assert (fence.name, fence.dwell_s, fence.version) == ("Yard", None, 2)
        actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
        assert list(actions) == ["geofence.added", "geofence.changed"]
        assert AuditEntry.objects.last().after["dwell_s"] is None  # type: ignore[union-attr]
        assert owner.get(f"{PAGE}/{fence.pk}/delete").status_code == 200
        owner.post(f"{PAGE}/{fence.pk}/delete")
        assert not Geofence.objects.exists()

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"name": ""}, "This field is required"),
            ({"geometry": "here"}, "Draw it on the map"),
            ({"geometry": '{"type": "Point", "coordinates": [52, 133]}'}, "longitude comes first"),
            ({"kind": "polygon"}, "takes a GeoJSON Polygon"),
            ({"radius_m": ""}, "Between 5"),
            ({"schedule": "sometimes"}, "write days and hours"),
            ({"all_vehicles": ""}, "Choose vehicles"),
            ({"colour": "red"}, "#rrggbb"),
            ({"hysteresis_m": "-1"}, "greater than or equal to 0"),
            ({"history_from": "2019-01-01"}, "A day of the last"),
            ({"dwell_min": "0"}, "0.05"),
        ],
    )
    def test_a_mistake_is_named_once_and_nothing_lost(
        self, owner: Client, changes: dict[str, str], words: str
    ) -> None:
        answer = owner.post(f"{PAGE}/new", FORM | changes)
        text = answer.content.decode()
        assert answer.status_code == 400 and text.count(words) == 1 and text.count('class="wrong"') == 1
        assert not Geofence.objects.exists() and ("name" in changes or 'value="Depot"' in text)

    def test_a_name_once(self, owner: Client) -> None:
        owner.post(f"{PAGE}/new", FORM)
        assert "has a geofence named Depot already" in owner.post(f"{PAGE}/new", FORM).content.decode()

    def test_one_that_rules_watch_stays(self, owner: Client, fleet: Fleet) -> None:
        fence = make(fleet)
        AlertRule.objects.create(
            fleet=fleet, name="Night", kind="geofence", geofence=fence, crossing="leave", since=timezone.now()
        )
        answer = owner.post(f"{PAGE}/{fence.pk}/delete")
        assert answer.status_code == 409 and "Night" in answer.content.decode()

    def test_the_list_is_searched_sorted_and_exported(
        self, owner: Client, fleet: Fleet, vehicles: list[Vehicle], django_assert_max_num_queries: Any
    ) -> None:
        depot = make(fleet, "=Depot")
        for number in range(60):
            make(fleet, f"Yard {number:02}")
        visit(depot, vehicles[0], 20)
        text = owner.get(f"{PAGE}?q=depot&sort=there").content.decode()
        assert "=Depot" in text and "Yard" not in text
        assert "1–50 of 61" in owner.get(PAGE).content.decode()
        lines = owner.get(f"{PAGE}?sort=newest&export=csv").content.decode().splitlines()
        assert len(lines) == 62 and lines[1].split(",")[1] == "'=Depot" and ",1," in lines[1]
        told = json.loads(owner.get(f"{PAGE}?kind=circle&q=Depot&export=geojson").content)
        assert [feature["properties"]["name"] for feature in told["features"]] == ["=Depot"]
        with django_assert_max_num_queries(14):
            owner.get(f"{PAGE}?sort=there")

    def test_visits_are_narrowed_and_exported(
        self, owner: Client, fleet: Fleet, vehicles: list[Vehicle], django_assert_max_num_queries: Any
    ) -> None:
        fence = make(fleet)
        for day in range(2, 19):
            end = timezone.now().replace(year=2026, month=11, day=day, hour=14)
            visit(fence, vehicles[day % 2], day, left_at=end, exit=Edge.GAP)
        visit(fence, vehicles[0], 20)
        visit(fence, vehicles[0], 21, confirmed=False)
        assert len(Visit.objects.visible_to(_principal(owner))) == 18
        rows = owner.get(
            f"{PAGE}/{fence.pk}?q=van+2&from=2026-11-05&to=2026-11-07&export=csv"
        ).content.decode()
        assert [line.split(",")[0] for line in rows.splitlines()[1:]] == ["Van 2", "Van 2"]
        assert ",7200.0," in rows and "gap" in rows
        text = owner.get(f"{PAGE}/{fence.pk}?state=there", headers={"HX-Request": "true"}).content.decode()
        assert text.count("<tr>") == 2 and "<strong>there</strong>" in text and "2 h 0 min" not in text
        assert "No visit matches" in owner.get(f"{PAGE}/{fence.pk}?q=nobody").content.decode()
        with django_assert_max_num_queries(14):
            owner.get(f"{PAGE}/{fence.pk}")

    def test_what_the_live_map_draws(self, owner: Client, fleet: Fleet, people: People) -> None:
        fence = make(fleet)
        told = owner.get("/live/geofences").json()
        assert [feature["id"] for feature in told["features"]] == [fence.pk]
        assert logged_in(people.outsider).get("/live/geofences").json()["features"] == []


def _principal(client: Client) -> Any:
    from fleet.access import person
    from fleet.models import User

    return person(User.objects.get(email="owner@example.com"))


class TestImport:
    def test_all_of_a_file(self, owner: Client, fleet: Fleet) -> None:
        ring = [[13.5, 52.4], [13.6, 52.4], [13.6, 52.5], [13.5, 52.4]]
        features = [
            FEATURE,
            {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": None},
            {"type": "Feature", "geometry": {"type": "LineString", "coordinates": ring[:2]},
             "properties": {"name": "Route", "width_m": 40, "colour": "#AABBCC"}},
        ]  # fmt: skip
        text = json.dumps({"type": "FeatureCollection", "features": features})
        owner.post(
            f"{PAGE}/import", {"file": SimpleUploadedFile("a.geojson", b"\xef\xbb\xbf" + text.encode())}
        )
        told = Geofence.objects.order_by("id").values_list("name", "kind", "colour")
        assert [*told] == [
            ("Depot", "circle", "#2563eb"), ("Feature 2", "polygon", "#2563eb"), ("Route", "corridor", "#aabbcc"),
        ]  # fmt: skip
        again = owner.get(f"{PAGE}?export=geojson").content.decode()
        Geofence.objects.all().delete()
        owner.post(f"{PAGE}/import", {"text": again})
        assert [*Geofence.objects.order_by("name").values_list("name", flat=True)] == [
            "Depot",
            "Feature 2",
            "Route",
        ]

    def test_none_when_one_is_wrong(self, owner: Client, fleet: Fleet) -> None:
        bad = {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [13, 52]},
            "properties": {"name": "Hall"},
        }
        answer = owner.post(
            f"{PAGE}/import", {"text": json.dumps({"type": "FeatureCollection", "features": [FEATURE, bad]})}
        )
        text = answer.content.decode()
        assert answer.status_code == 400 and not Geofence.objects.exists()
        assert (
            "Feature 2 (“Hall”): radius_m: Between 5 and 500,000 m." in text and "Nothing was added" in text
        )

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "no JSON"),
            ("[" * 100_000, "no JSON"),
            ('{"type": "Point", "coordinates": [NaN, 1]}', "NaN is no number"),
            ("3", "Send a GeoJSON"),
            ('{"type": "FeatureCollection"}', "no list of features"),
            ('{"type": "FeatureCollection", "features": []}', "0 features"),
            ('{"type": "FeatureCollection", "features": [3]}', "Feature 1: type: Is no Feature"),
            ('{"type": "Feature", "geometry": null, "properties": {}}', "Takes one of Point"),
            ('{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": [1]}',
             "Is no object"),
            ('{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, '
             '"properties": {"radius_m": "9"}}', "radius_m: Is no number"),
            ('{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, '
             '"properties": {"radius_m": 9, "schedule": [3]}}', "schedule: Entry 1"),
            ('{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, '
             '"properties": {"radius_m": 9, "hysteresis_m": 1e9}}', "hysteresis_m: Ensure"),
        ],
    )  # fmt: skip
    def test_what_is_said_of_it(self, text: str, words: str) -> None:
        with pytest.raises(UnreadableError) as refused:
            read(Fleet(slug="x"), text)
        assert words in str(refused.value)


class TestApi:
    def test_a_life(self, owner: Client) -> None:
        answer = owner.post(
            API, FEATURE, content_type="application/json", headers={"Idempotency-Key": "once"}
        )
        told = answer.json()
        assert answer.status_code == 201 and answer.headers["Location"] == f"{API}/{told['id']}"
        again = owner.post(API, FEATURE, content_type="application/json", headers={"Idempotency-Key": "once"})
        assert again.json() == told and Geofence.objects.count() == 1
        address = f"{API}/{told['id']}"
        fetched = owner.get(address)
        assert fetched.json() == told and owner.get(API).json()["results"] == [told]
        changed = FEATURE | {"properties": FEATURE["properties"] | {"radius_m": 80}}
        tag = fetched.headers["ETag"]
        put = owner.put(address, changed, content_type="application/json", headers={"If-Match": tag})
        assert (put.status_code, put.json()["properties"]["version"]) == (200, 2)
        for method in (owner.put, owner.delete):
            stale = method(address, changed, content_type="application/json", headers={"If-Match": tag})
            assert stale.status_code == 412
        fresh = owner.get(address).headers["ETag"]
        assert owner.delete(address, headers={"If-Match": fresh}).status_code == 204
        assert owner.get(address).status_code == 404

    @pytest.mark.parametrize(
        ("geometry", "properties", "field"),
        [
            ({"type": "Point", "coordinates": [13]}, {}, "geometry"),
            ({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}, {}, "geometry"),
            ("here", {}, "geometry"),
            (None, {"radius_m": 1}, "properties.radius_m"),
            (None, {"kind": "star"}, "properties.kind"),
            (None, {"schedule": [{"days": [1], "from": "08:00", "to": "08:00"}]}, "properties.schedule"),
            (
                None,
                {"schedule": [{"days": [9], "from": "08:00", "to": "09:00"}]},
                "properties.schedule[0].days[0]",
            ),
            (None, {"vehicles": ["nobody"]}, "properties.vehicles[0]"),
            (None, {"fleet": "south"}, "properties.fleet"),
            (None, {"history_from": "yesterday"}, "properties.history_from"),
        ],
    )
    def test_a_mistake_is_named(
        self, owner: Client, geometry: Any, properties: dict[str, Any], field: str
    ) -> None:
        body = FEATURE | {"properties": FEATURE["properties"] | properties}
        body |= {"geometry": geometry} if geometry else {}
        answer = owner.post(API, body, content_type="application/json")
        assert answer.status_code == 400
        assert [error["field"] for error in answer.json()["errors"]] == [field]

    def test_visits(self, owner: Client, fleet: Fleet, vehicles: list[Vehicle], people: People) -> None:
        fence, other = make(fleet), make(fleet, "Other")
        for day in (3, 5, 7):
            visit(fence, vehicles[0], day)
        visit(other, vehicles[0], 9)
        visit(other, vehicles[0], 11, confirmed=False)
        told = owner.get(f"{API}/{fence.pk}/visits?from=2026-11-05T00:00:00Z&limit=1").json()
        assert told["next"] and told["results"][0]["entered_at"].startswith("2026-11-07")
        assert told["results"][0]["duration_s"] is None and told["results"][0]["vehicle_id"] == "van-1"
        assert len(owner.get("/api/v1/vehicles/van-1/visits").json()["results"]) == 4
        assert len(owner.get(f"/api/v1/vehicles/van-1/visits?geofence={other.pk}").json()["results"]) == 1
        assert owner.get("/api/v1/vehicles/van-1/visits?geofence=x").status_code == 400
        outsider = logged_in(people.outsider)
        assert outsider.get("/api/v1/vehicles/van-1/visits").status_code == 404
        assert outsider.get(f"{API}/{fence.pk}/visits").status_code == 404

    def test_viewers_read_only(self, owner: Client, fleet: Fleet) -> None:
        viewer = logged_in(make_person("reader@example.com", "north", Role.VIEWER))
        fence = make(fleet)
        assert viewer.get(f"{API}/{fence.pk}").status_code == 200
        assert viewer.post(API, FEATURE, content_type="application/json").status_code == 403
        assert viewer.get(f"{PAGE}/{fence.pk}").status_code == 200
        assert "Edit</a>" not in viewer.get(f"{PAGE}/{fence.pk}").content.decode()

"""Statistics: the numbers of the days asked for, to those who may see them, the same in API and pages."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.aggregation import rollups, statistics
from fleet.aggregation.days import Period
from fleet.aggregation.metrics import METRICS, Use, usable
from fleet.aggregation.sums import Sums
from fleet.alerting.alerts import Report, raise_alert
from fleet.journeys.trips import keep
from fleet.models import Alert, Driver, Fleet, Role, Severity, Vehicle
from fleet.tests.test_rollups import told
from tests.world import Car, make_car, make_person

API = "/api/v1/fleet/north"
NOON = timezone.now().replace(hour=11, minute=0, second=0, microsecond=0) - timedelta(days=1)


@pytest.fixture
def cars(db: None) -> list[Car]:
    """a drives 100 km a day for three days, b 200 km yesterday with more risk, c hardly at all, d never."""
    made = [make_car("north", f"van-{letter}") for letter in "abcd"]
    Fleet.objects.filter(slug="north").update(time_zone="Europe/Berlin")
    a, b, c, _ = (car.vehicle for car in made)
    keep(
        a,
        [
            told(f"a{n}", NOON - timedelta(days=n), 90, 100, mean_risk=0.1, alerts={"info": 0})
            for n in range(3)
        ],
    )
    keep(b, [told("b", NOON, 120, 200, "ben", mean_risk=0.5, alerts={"warning": 4})])
    keep(c, [told("c", NOON, 5, 2, "cleo", mean_risk=0.0)])
    # The days before: b was better than a.
    keep(a, [told("a-", NOON - timedelta(days=10), 90, 100, mean_risk=0.4)])
    keep(b, [told("b-", NOON - timedelta(days=10), 90, 100, "ben", mean_risk=0.1)])
    raise_alert(a, Report("x", Severity.CRITICAL, "x", NOON))
    raise_alert(b, Report("x", Severity.INFO, "x", NOON - timedelta(days=10)))
    rollups.keep_up(timezone.now())
    return made


@pytest.fixture
def viewer(cars: list[Car]) -> Iterator[Client]:
    client = Client()
    client.force_login(
        make_person("viewer@example.com", "north"), backend="django.contrib.auth.backends.ModelBackend"
    )
    yield client


def get(client: Client, path: str, **headers: str) -> Any:
    reply = client.get(path, headers=headers)
    assert reply.status_code == 200, reply.content
    return reply.json()


def test_key_figures(viewer: Client) -> None:
    told = get(viewer, f"{API}/statistics?days=7")
    assert (told["total_vehicles"], told["active_vehicles"], told["active_drivers"]) == (4, 3, 3)
    assert (told["total_trips"], told["total_distance"], told["total_distance_km"]) == (5, 502_000, 502)
    assert told["total_driving_hours"] == round((3 * 90 + 125) / 60, 2)
    risk = (300 * 0.1 + 200 * 0.5) / 502
    assert told["average_risk_score"] == pytest.approx(risk, abs=1e-4)
    per_100_km = 5 / 5.02  # four warnings of b, one of c
    assert told["average_safety_score"] == pytest.approx(100 - 40 * risk - 2 * per_100_km, abs=0.01)
    # One was reported, and two trips told of warnings.
    assert told["alerts"] == {"info": 0, "warning": 2, "critical": 1, "total": 3}
    assert told["trip_alerts"]["warning"] == 5
    assert told["previous"]["total_distance"] == 200_000 and told["previous"]["alerts"]["info"] == 1
    assert told["time_zone"] == "Europe/Berlin" and told["updating"] == 0


def test_rankings_with_eligibility_and_the_rank_before(viewer: Client) -> None:
    told = get(viewer, f"{API}/rankings?metric=safety_score&limit=10&days=7")
    assert (told["metric"], told["minimum_distance"]) == ("safety_score", 50_000)
    rows = [
        (row["vehicle_id"], row["rank"], row["previous_rank"], row["eligible"]) for row in told["results"]
    ]
    assert rows == [
        ("van-a", 1, 2, True), ("van-b", 2, 1, True), ("van-c", None, None, False), ("van-d", None, None, False),
    ]  # fmt: skip
    assert told["results"][2]["value"] is not None, "shown, but not ranked"
    distances = get(viewer, f"{API}/rankings?metric=distance&limit=2&days=7")["results"]
    assert [(row["vehicle_id"], row["value"], row["rank"]) for row in distances] == [
        ("van-a", 300_000, 1), ("van-b", 200_000, 2),
    ]  # fmt: skip


def test_equal_values_share_a_rank() -> None:
    sums = {name: Sums(trips=trips) for name, trips in {"a": 3, "b": 5, "c": 3, "d": 1}.items()}
    places = statistics.ranked(METRICS["trips"], sums, {}, {name: name for name in sums})
    assert [(place.who, place.rank) for place in places] == [("b", 1), ("a", 2), ("c", 2), ("d", 4)]


def test_trends_have_a_point_for_every_day(viewer: Client) -> None:
    told = get(viewer, f"{API}/trends?metric=distance&days=7")
    yesterday = (timezone.now() - timedelta(days=1)).date().isoformat()
    points = {point["date"]: point["value"] for point in told["points"]}
    assert len(points) == 7 and sum(points.values()) == 502_000
    scores = {p["date"]: p["value"] for p in get(viewer, f"{API}/trends?days=7")["points"]}
    assert scores[yesterday] is not None and None in scores.values(), "no score without driving"


def test_comparison_by_any_of_their_names(viewer: Client, cars: list[Car]) -> None:
    told = get(viewer, f"{API}/comparison?vehicles=van-b,{cars[0].vin}&metric=trips&days=7")
    assert [(row["vehicle_id"], row["value"]) for row in told["results"]] == [("van-b", 1), ("van-a", 3)]
    assert told["results"][1]["metrics"]["distance"] == 300_000
    assert sum(point["value"] for point in told["results"][1]["points"]) == 3
    repeated = get(viewer, f"{API}/comparison?vehicles=van-b&vehicles=van-a&metric=trips&days=7")
    assert repeated == told
    everybody = get(viewer, f"{API}/comparison?days=7")["results"]
    assert [row["vehicle_id"] for row in everybody][:2] == ["van-a", "van-b"], "the furthest first"


def test_the_leaderboard_of_drivers(viewer: Client, cars: list[Car]) -> None:
    Driver.objects.create(fleet=cars[0].vehicle.fleet, slug="ada", name="Ada Berg")
    for path in (f"{API}/drivers/leaderboard", "/api/v1/drivers/leaderboard"):
        told = get(viewer, f"{path}?metric=safety_score&days=7")
        rows = [(row["rank"], row["driver_id"], row["name"], row["previous_rank"]) for row in told["results"]]
        assert rows == [(1, "ada", "Ada Berg", 2), (2, "ben", "", 1), (None, "cleo", "", None)]


def test_a_device_reads_its_fleet_and_learns_no_names(cars: list[Car]) -> None:
    Driver.objects.create(fleet=cars[0].vehicle.fleet, slug="ada", name="Ada Berg")
    client, key = Client(), {"Authorization": f"Bearer {cars[3].token}"}
    assert get(client, f"{API}/statistics", **key)["total_vehicles"] == 4
    rows = get(client, f"{API}/drivers/leaderboard", **key)["results"]
    assert rows[0]["driver_id"] == "ada" and rows[0]["name"] == ""
    other = make_car("south", "bus")
    reply = client.get(f"{API}/statistics", headers={"Authorization": f"Bearer {other.token}"})
    assert reply.status_code == 404


def test_a_device_reads_its_fleets_alerts_and_no_address(cars: list[Car]) -> None:
    Alert.objects.update(assigned_to=make_person("boss@example.com", "north", Role.OWNER))
    reply = Client().get(f"{API}/alerts", headers={"Authorization": f"Bearer {cars[3].token}"})
    rows = [(row["vehicle_id"], row["assigned_to"]) for row in reply.json()["results"]]
    assert {vehicle for vehicle, _ in rows} == {"van-a", "van-b", "van-c"}
    assert not any(person for _, person in rows)


def test_a_driver_sees_only_themselves(cars: list[Car]) -> None:
    ben = make_person("ben@example.com", "north", Role.DRIVER)
    Driver.objects.create(fleet=cars[0].vehicle.fleet, slug="ben", name="Ben Ito", user=ben)
    client = Client()
    client.force_login(ben, backend="django.contrib.auth.backends.ModelBackend")
    rows = get(client, f"{API}/drivers/leaderboard?days=7")["results"]
    assert [(row["driver_id"], row["rank"]) for row in rows] == [("ben", 2)]
    page = client.get("/leaderboard?days=7").content.decode()
    assert "Ben Ito" in page and "cleo" not in page and "ada" not in page


@pytest.mark.parametrize(
    ("path", "field", "hint"),
    [
        ("rankings?metric=beauty", "metric", "safety_score"),
        ("rankings?metric=active_vehicles", "metric", "active_days"),
        ("trends?metric=active_days", "metric", "active_vehicles"),
        ("drivers/leaderboard?metric=alerts", "metric", "trip_alerts_per_100km"),
        ("rankings?limit=0", "limit", "1000"),
        ("rankings?limit=1001", "limit", "1000"),
        ("trends?days=732", "days", "731"),
        ("trends?days=-1", "days", "731"),
        ("trends?days=٣", "days", "731"),
        ("statistics?from=2024-13-01", "from", "2024-11-01"),
        ("statistics?to=2024-11-01", "from", "from which day"),
        ("statistics?from=2024-11-02&to=2024-11-01", "to", "before"),
        ("statistics?from=2020-01-01&to=2024-11-01", "from", "731"),
        ("statistics?from=1960-01-01&to=1960-02-01", "from", "2000"),
        ("statistics?from=2024-11-01&days=3", "days", "either"),
        ("comparison?vehicles=van-a,bus", "vehicles", "bus"),
        ("comparison?vehicles=" + ",".join(f"v{n}" for n in range(21)), "vehicles", "20"),
        ("comparison?vehicles=%00", "vehicles", "U+0000"),
    ],
)
def test_what_is_refused_names_the_parameter_and_what_is_allowed(
    viewer: Client, path: str, field: str, hint: str
) -> None:
    reply = viewer.get(f"{API}/{path}")
    assert reply.status_code == 400 and reply["Content-Type"] == "application/problem+json"
    errors = reply.json()["errors"]
    assert [error["field"] for error in errors] == [field] and hint in errors[0]["reason"]


def test_moments_mean_their_day_in_the_fleets_zone(viewer: Client) -> None:
    told = get(viewer, f"{API}/trends?metric=trips&from=2024-11-17T23:30:00Z&to=1731970800")
    assert (told["first_day"], told["last_day"]) == ("2024-11-18", "2024-11-19")


def test_the_same_content_is_not_sent_again(viewer: Client, cars: list[Car]) -> None:
    for path in ("statistics", "metrics", "rankings", "trends", "comparison", "drivers/leaderboard"):
        first = viewer.get(f"{API}/{path}")
        again = viewer.get(f"{API}/{path}", headers={"If-None-Match": first["ETag"]})
        assert again.status_code == 304 and not again.content and again["ETag"] == first["ETag"]
    first = viewer.get(f"{API}/trends")
    keep(cars[3].vehicle, [told("d", NOON)])
    rollups.keep_up(timezone.now())
    assert viewer.get(f"{API}/trends", headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_metrics_say_where_they_can_be_used(viewer: Client) -> None:
    metrics = {metric["name"]: metric for metric in get(viewer, f"{API}/metrics")["metrics"]}
    assert metrics.keys() == METRICS.keys()
    assert metrics["safety_score"] == metrics["safety_score"] | {
        "better": "higher", "without_data": None, "minimum_distance": 50_000,
    }  # fmt: skip
    assert metrics["distance"]["without_data"] == 0
    paths = {Use.RANKINGS: "rankings", Use.TRENDS: "trends", Use.COMPARISON: "comparison"}
    for use, path in (paths | {Use.LEADERBOARD: "drivers/leaderboard"}).items():
        for metric in usable(use):
            assert get(viewer, f"{API}/{path}?metric={metric.name}")["metric"] == metric.name


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        (f"{API}/statistics", 12),
        (f"{API}/rankings", 7),
        (f"{API}/trends", 5),
        (f"{API}/comparison?vehicles=van-a,van-b", 7),
        (f"{API}/drivers/leaderboard", 7),
        (f"{API}/metrics", 4),
        ("/statistics?vehicles=van-a&vehicles=van-b", 19),
        ("/leaderboard", 9),
        ("/api/v1/vehicles/van-a/status", 8),
    ],
)
def test_what_they_cost(viewer: Client, path: str, queries: int, django_assert_num_queries: Any) -> None:
    viewer.get(path)
    with django_assert_num_queries(queries):
        assert viewer.get(path).status_code == 200


def test_the_status_of_a_vehicle_tells_open_alerts_and_the_trip_that_goes_on(
    viewer: Client, cars: list[Car]
) -> None:
    address, van = "/api/v1/vehicles/van-a/status", cars[0].vehicle
    told_now = get(viewer, address)
    assert (told_now["open_alert_count"], told_now["open_alerts"][0]["type"]) == (2, "x")
    assert told_now["current_trip"] is None
    keep(van, [told("now", timezone.now() - timedelta(minutes=9), None, 3, duration_s=540.0)])
    assert get(viewer, address)["current_trip"]["trip_id"] == "now"
    keep(van, [told("now", timezone.now() - timedelta(minutes=9), 9, 4)])
    assert get(viewer, address)["current_trip"] is None


class TestPages:
    def test_the_same_numbers_as_the_api(self, viewer: Client) -> None:
        page = viewer.get("/statistics?days=7").content.decode()
        told = get(viewer, f"{API}/statistics?days=7")
        for figure in (f"{told['total_distance_km']:,.0f}", ">5</b>"):
            assert figure in page
        # The API's two digits may be rounded up where the page's one is not.
        assert any(f"{told['average_safety_score'] + off:,.1f}" in page for off in (-0.005, 0.0049))
        board = viewer.get("/leaderboard?days=7").content.decode()
        assert board.index("ada") < board.index("ben") < board.index("cleo")
        assert "too little driving" in board

    def test_parts_for_htmx_and_a_login_for_others(self, viewer: Client) -> None:
        for path in ("/statistics", "/leaderboard"):
            part = viewer.get(path, headers={"HX-Request": "true"}).content.decode()
            assert "<html" not in part and "<table" in part
            assert Client().get(path)["Location"].startswith("/login")

    def test_files(self, viewer: Client, cars: list[Car]) -> None:
        Vehicle.objects.filter(slug="van-a").update(name="=1+1")
        days = viewer.get("/statistics?days=7&export=trend").content.decode().splitlines()
        assert len(days) == 8 and days[0].startswith("day (Europe/Berlin),safety_score (points),distance (m)")
        vehicles = viewer.get("/statistics?days=7&export=vehicles").content.decode()
        assert "van-a,'=1+1," in vehicles
        board = viewer.get("/leaderboard?days=7&export=csv").content.decode().splitlines()
        assert board[1].startswith("1,2,ada,")

    @pytest.mark.parametrize(
        "query", ["days=x&metric=y&from=z&to=%00&vehicles=%00&fleet=%00", "days=0", "days=365"]
    )
    def test_nonsense_counts_as_not_asked(self, viewer: Client, query: str) -> None:
        for path in ("/statistics", "/leaderboard"):
            assert viewer.get(f"{path}?{query}").status_code == 200

    def test_from_one_day_to_another(self, viewer: Client) -> None:
        page = viewer.get("/statistics?days=0&from=2024-11-01&to=2024-11-17").content.decode()
        assert "1 Nov 2024 – 17 Nov 2024" in page and "No values in this period" in page

    def test_without_a_fleet(self, db: None) -> None:
        client = Client()
        client.force_login(
            make_person("new@example.com"), backend="django.contrib.auth.backends.ModelBackend"
        )
        for path in ("/statistics", "/leaderboard"):
            assert "No fleet" in client.get(path).content.decode()


def test_periods() -> None:
    period = Period.newest(30, "Europe/Berlin", datetime(2024, 11, 17, 23, 30, tzinfo=UTC))
    assert (period.first, period.last) == (date(2024, 10, 20), date(2024, 11, 18))
    assert (period.before.last, period.before.days) == (date(2024, 10, 19), 30)

"""Reports: the same rows and totals on the page, in every file and over the API; by the reader's units and clock."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import openpyxl
import pytest
import time_machine
from django.test import Client
from fpdf import FPDF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.aggregation import rollups
from fleet.alerting.alerts import Report as Reported
from fleet.alerting.alerts import raise_alert
from fleet.journeys.trips import keep
from fleet.models import Driver, Fleet, ReportColumns, Role, Severity, TripSummary, User, Vehicle
from fleet.reports import files, registry, wishes
from fleet.reports.report import Ask, Order
from fleet.reports.wishes import Wish, WishError
from fleet.tests.test_rollups import told
from tests.world import Car, make_car, make_person

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BACKEND = "django.contrib.auth.backends.ModelBackend"
WISH = Wish(first=date(2026, 11, 1), last=date(2026, 11, 19), zone="Europe/Berlin")
PAGE = "/fleets/north/reports"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def cars(db: None) -> list[Car]:
    """a drives 100 km an hour twice, once around midnight in Berlin; b 50 km, under a name that a sheet would run."""
    a, b, c = (make_car("north", f"van-{letter}") for letter in "abc")
    Fleet.objects.filter(slug="north").update(time_zone="Europe/Berlin", name="North")
    Vehicle.objects.filter(pk=b.vehicle.pk).update(name="=cmd|' /C calc'!A0", labels=["night"])
    keep(a.vehicle, [told("a1", datetime(2026, 11, 10, 22, 30, tzinfo=UTC), 60, 100, mean_risk=0.1)])
    keep(a.vehicle, [told("a2", datetime(2026, 11, 12, 9, tzinfo=UTC), 60, 100, mean_risk=0.3)])
    keep(b.vehicle, [told("b1", datetime(2026, 11, 12, 10, tzinfo=UTC), 30, 50, "ben")])
    # Begun on 31 October in UTC, which is 1 November in Berlin; and on the last day's last minute.
    keep(c.vehicle, [told("c1", datetime(2026, 10, 31, 23, 30, tzinfo=UTC), 10, 10, "cleo")])
    keep(c.vehicle, [told("c2", datetime(2026, 11, 19, 23, 30, tzinfo=UTC), 10, 10, "cleo")])
    raise_alert(
        a.vehicle, Reported("hot", Severity.CRITICAL, "+49 too hot", datetime(2026, 11, 12, tzinfo=UTC))
    )
    Driver.objects.create(fleet=a.vehicle.fleet, slug="ben", name="Ben Łukasz")
    rollups.keep_up(NOW)
    return [a, b, c]


@pytest.fixture
def viewer(cars: list[Car]) -> User:
    return make_person("viewer@example.com", "north", time_zone="America/New_York")


@pytest.fixture
def client(viewer: User) -> Client:
    client = Client()
    client.force_login(viewer, backend=BACKEND)
    return client


def fleet() -> Fleet:
    return Fleet.objects.get(slug="north")


def made(kind: str, report: str, wish: Wish = WISH) -> bytes:
    found = registry.named(report)
    assert found
    out = io.BytesIO()
    files.write(kind, wishes.table_of(found, fleet(), wish), out)
    return out.getvalue()


def lines(content: bytes, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=separator))


class TestFiles:
    def test_csv_names_units_and_zone_and_ends_with_totals(self, cars: list[Car]) -> None:
        head, *rows, totals = lines(made("csv", "trips"))
        assert head[:3] == ["Start (Europe/Berlin)", "End (Europe/Berlin)", "Vehicle"]
        assert {"Distance (km)", "Duration (h)", "Mean speed (km/h)"} <= set(head)
        by_head = [dict(zip(head, row, strict=True)) for row in rows]
        assert [row["Start (Europe/Berlin)"] for row in by_head] == [
            "2026-11-12 11:00:00", "2026-11-12 10:00:00", "2026-11-10 23:30:00", "2026-11-01 00:30:00",
        ]  # fmt: skip
        assert by_head[0]["Vehicle"] == "'=cmd|' /C calc'!A0", "no spreadsheet runs it"
        assert by_head[0]["Driver’s name"] == "Ben Łukasz" and by_head[1]["Driver’s name"] == ""
        total = dict(zip(head, totals, strict=True))
        assert totals[0] == "Total" and total["Distance (km)"] == "260.0" and total["Duration (h)"] == "2.67"
        assert total["Mean speed (km/h)"] == "97.5", "all metres by all seconds"

    def test_separators_as_the_spreadsheet_wants_them(self, cars: list[Car]) -> None:
        wish = Wish(**{**_fields(WISH), "dialect": "semicolon", "units": "imperial"})
        content = made("csv", "trips", wish)
        assert content.startswith(b"\xef\xbb\xbf"), "else it is read in the system's encoding"
        head, first, *_ = lines(content, ";")
        assert dict(zip(head, first, strict=True))["Distance (mi)"] == "31,1"
        head, first, *_ = lines(made("csv", "trips", Wish(**{**_fields(WISH), "dialect": "tab"})), "\t")
        assert dict(zip(head, first, strict=True))["Distance (km)"] == "50.0"

    def test_a_spreadsheet_has_real_dates_and_numbers(self, cars: list[Car]) -> None:
        book = openpyxl.load_workbook(io.BytesIO(made("xlsx", "trips")))
        sheet, about = book.worksheets
        heads = [cell.value for cell in sheet[1]]
        first = dict(zip(heads, sheet[2], strict=True))
        start = first["Start (Europe/Berlin)"]
        assert start.value == datetime(2026, 11, 12, 11) and start.is_date
        assert first["Distance (km)"].value == 50 and first["Distance (km)"].data_type == "n"
        assert (
            first["Duration"].value == timedelta(minutes=30)
            and first["Duration"].number_format == "[h]:mm:ss"
        )
        assert first["Vehicle"].value == "=cmd|' /C calc'!A0" and first["Vehicle"].data_type == "s"
        assert sheet.freeze_panes == "A2" and sheet.auto_filter.ref.endswith("5")
        assert sheet.column_dimensions["A"].width >= 16
        last = dict(zip(heads, sheet[6], strict=True))
        assert last["Start (Europe/Berlin)"].value == "Total" and last["Distance (km)"].value == 260
        for number, row in enumerate(about.iter_rows(), 1):
            height = about.row_dimensions[number].height
            assert (height or 15) >= 15 * len(str(row[1].value)) / 85, "no line hides another"
        assert {(one.page_setup.orientation, one.page_setup.fitToHeight) for one in book} == {
            ("landscape", 0)
        }
        facts = {row[0].value: row[1].value for row in about.iter_rows()}
        assert (
            facts["Fleet"] == "North" and facts["Times"] == "Europe/Berlin" and facts["Units"] == "km, km/h"
        )
        assert facts["Days"] == "2026-11-01 to 2026-11-19 (of Europe/Berlin)" and "1 km" in str(
            facts["What counts"]
        )

    def test_json_is_si_with_zones(self, cars: list[Car]) -> None:
        content = json.loads(made("json", "trips"))
        assert content["rows"][0]["distance"] == 50_000 and content["totals"]["distance"] == 260_000
        assert content["rows"][0]["start"] == "2026-11-12T11:00:00+01:00"
        assert {column["name"]: column["unit"] for column in content["columns"]}["mean_speed"] == "m/s"

    def test_the_summary_on_paper(self, cars: list[Car]) -> None:
        content = made("pdf", "summary")
        assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
        assert b"/FontFile2" in content, "the fonts come along"

    def test_the_summary_in_the_readers_units(self, cars: list[Car]) -> None:
        def figures(units: str) -> dict[str, tuple[float, str]]:
            content = json.loads(made("json", "summary", Wish(**{**_fields(WISH), "units": units})))
            return {row["figure"]: (row["value"], row["unit"]) for row in content["rows"]}

        assert figures("metric")["Distance"] == (260, "km")
        distance, unit = figures("imperial")["Distance"]
        assert unit == "mi" and distance == pytest.approx(161.556, abs=0.001)
        speed, unit = figures("imperial")["Mean speed"]
        assert unit == "mph" and speed == pytest.approx(60.58, abs=0.01)
        assert figures("imperial")["Alerts in trips"][1] == "per 100 mi"
        head = made("csv", "drivers", Wish(**{**_fields(WISH), "units": "imperial"})).decode().splitlines()[0]
        assert "Alerts (per 100 mi)" in head

    def test_the_summary_on_paper_in_the_readers_units(
        self, cars: list[Car], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn: list[str] = []
        draw = FPDF.cell

        def cell(paper: Any, w: Any = None, h: Any = None, text: str = "", *rest: Any, **more: Any) -> Any:
            drawn.append(text)
            return draw(paper, w, h, text, *rest, **more)

        monkeypatch.setattr(FPDF, "cell", cell)
        made("pdf", "summary", Wish(**{**_fields(WISH), "units": "imperial"}))
        assert {"162", "mi", "Distance (mi)"} <= set(drawn)
        assert not [text for text in drawn if "km" in text]
        drawn.clear()
        made("pdf", "summary")
        assert {"260", "km", "Distance (km)"} <= set(drawn)

    @pytest.mark.parametrize("report", [report.name for report in registry.known()])
    def test_every_report_in_every_format_also_without_a_row(self, cars: list[Car], report: str) -> None:
        """Rows and totals agree between files, whatever column sorts, and with the database's own sums."""
        found = registry.named(report)
        assert found
        for day in (date(2026, 11, 12), date(2020, 1, 1)):
            wish = Wish(first=day, last=day, columns=tuple(column.name for column in found.columns))
            table = wishes.table_of(found, fleet(), wish)
            content = json.loads(made("json", report, wish))
            assert len(content["rows"]) == table.count()
            for name, value in table.totals().items():
                assert content["totals"][name] == pytest.approx(value), name
            for kind in found.formats:
                assert made(kind, report, wish)
            for column in found.columns:
                for down in (False, True):
                    table.order = Order(column.name, down)
                    rows = table.page(1, 100)
                    place = found.columns.index(column)
                    values = [row[place] for row in rows if row[place] is not None]
                    assert len(rows) == table.count()
                    assert [row[place] for row in rows[: len(values)]] == values, "what is not known is last"


def _fields(wish: Wish) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in Wish.__dataclass_fields__}


class TestWishes:
    @settings(max_examples=40, deadline=None)
    @given(
        wish=st.builds(
            Wish,
            first=st.none() | st.dates(date(2000, 1, 1)),
            last=st.none() | st.dates(date(2000, 1, 1)),
            vehicles=st.lists(st.text(max_size=5), max_size=3).map(tuple),
            columns=st.lists(st.text(max_size=5), max_size=3).map(tuple),
            label=st.text(max_size=5),
            sort=st.text(max_size=5),
            units=st.sampled_from(["metric", "imperial"]),
        )
    )
    def test_what_is_stored_comes_back(self, wish: Wish) -> None:
        assert Wish.of(json.loads(json.dumps(wish.stored))) == wish

    @pytest.mark.parametrize(
        ("field", "value"),
        [("vehicles", ("bus",)), ("drivers", ("dora",)), ("columns", ("nonsense",)), ("sort", "-nonsense")],
    )
    def test_what_there_is_not_is_told_by_name(self, cars: list[Car], field: str, value: Any) -> None:
        make_car("south", "bus")
        Driver.objects.create(fleet=Fleet.objects.get(slug="south"), slug="dora")
        with pytest.raises(WishError) as error:
            made("csv", "trips", Wish(**{**_fields(WISH), field: value}))
        assert error.value.field == field

    def test_narrowed_to_vehicles_drivers_and_labels(self, cars: list[Car]) -> None:
        def trips(**wish: Any) -> int:
            return len(json.loads(made("json", "trips", Wish(**{**_fields(WISH), **wish})))["rows"])

        assert trips() == 4 and trips(vehicles=("van-a",)) == 2 and trips(drivers=("ben",)) == 1
        assert trips(label="night") == 1 and trips(label="day") == 0
        assert trips(label="night", vehicles=("van-a",)) == 0

    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(order=st.permutations(range(4)))
    def test_rows_do_not_depend_on_the_order_in_which_they_came(
        self, cars: list[Car], order: list[int]
    ) -> None:
        """Distances are such that any other order of additions would show."""
        day = datetime(2025, 3, 1, 8, tzinfo=UTC)
        TripSummary.objects.filter(start_time__year=2025).delete()
        for number in order:
            trip = told(f"s{number}", day + timedelta(hours=number), 30, 10 ** (number - 3))
            keep(cars[number % 3].vehicle, [trip])
        content = json.loads(made("json", "trips", Wish(first=date(2025, 3, 1), last=date(2025, 3, 1))))
        assert [row["distance"] for row in content["rows"]] == [1000.0, 100.0, 10.0, 1.0]


class TestPages:
    def test_the_table_has_the_readers_times_and_totals(self, client: Client) -> None:
        page = client.get(f"{PAGE}/trips?from=2026-11-01&to=2026-11-19").content.decode()
        assert "2026-11-12 05:00" in page, "New York"
        assert "Times in America/New_York" in page and "Days of Europe/Berlin" in page
        assert "260.0" in page and 'aria-sort="descending"' in page and "4 rows" in page

    def test_sorted_and_paged(self, client: Client, cars: list[Car], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fleet.pages.reports.PAGE_SIZE", 3)
        address = f"{PAGE}/trips?from=2026-11-01&to=2026-11-19&sort=distance"
        first = client.get(address).content.decode()
        second = client.get(f"{address}&page=2").content.decode()
        assert "1–3 of 4" in first and "4–4 of 4" in second
        assert '<td class="number">10.0</td>' in first and '<td class="number">10.0</td>' not in second
        assert "260.0" in second, "totals are those of all rows"

    def test_columns_and_units_are_remembered(self, client: Client, viewer: User) -> None:
        chosen = {
            "columns": ["start", "distance"],
            "units": "imperial",
            "dialect": "semicolon",
            "query": "days=30",
        }
        reply = client.post(f"{PAGE}/trips/columns", chosen, follow=True)
        assert reply.redirect_chain == [(f"{PAGE}/trips?days=30", 302)]
        content = client.get(f"{PAGE}/trips?days=30&format=csv").content.decode("utf-8-sig")
        assert content.splitlines()[0] == "Start (America/New_York);Distance (mi)"
        other = client.get(f"{PAGE}/daily?days=30&format=csv").content.decode("utf-8-sig")
        assert other.startswith("Day;Vehicle;Plate;Trips;Distance (mi)"), (
            "units and separators of all reports"
        )
        client.post(f"{PAGE}/trips/columns", chosen | {"act": "reset", "units": "metric"})
        assert not ReportColumns.objects.exists()

    def test_a_file_is_named_after_report_fleet_and_days(self, client: Client) -> None:
        reply = client.get(f"{PAGE}/trips?from=2026-11-01&to=2026-11-19&format=xlsx")
        assert 'filename="trips-north-2026-11-01-2026-11-19.xlsx"' in reply["Content-Disposition"]
        assert client.get(f"{PAGE}/trips?format=pdf").status_code == 404

    def test_a_large_one_is_prepared(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fleet.pages.reports.EXPORT_LIMIT", 2)
        address = f"{PAGE}/trips?from=2026-11-01&to=2026-11-19"
        assert client.get(f"{address}&format=csv").status_code == 302
        assert "to be prepared" in client.get(address).content.decode()

    @pytest.mark.parametrize("report", [report.name for report in registry.known()])
    def test_nothing_to_report_is_said(self, client: Client, report: str) -> None:
        page = client.get(f"{PAGE}/{report}?from=2020-01-01&to=2020-01-02").content.decode()
        found = registry.named(report)
        assert found
        empty = (
            wishes.table_of(found, fleet(), Wish(first=date(2020, 1, 1), last=date(2020, 1, 2))).count() == 0
        )
        assert ("Nothing to report" in page) == empty

    def test_the_same_queries_for_many_rows(
        self, client: Client, cars: list[Car], django_assert_max_num_queries: Any
    ) -> None:
        keep(
            cars[0].vehicle,
            [told(f"m{n}", datetime(2026, 11, 13, n % 24, tzinfo=UTC), 5, 1) for n in range(120)],
        )
        with django_assert_max_num_queries(18):
            client.get(f"{PAGE}/trips?from=2026-11-01&to=2026-11-19")

    def test_drivers_get_no_reports(self, cars: list[Car]) -> None:
        client = Client()
        client.force_login(make_person("d@example.com", "north", Role.DRIVER), backend=BACKEND)
        assert client.get(f"{PAGE}/trips").status_code == 403
        assert client.get("/api/v1/fleet/north/reports/trips").status_code == 403


class TestApi:
    def test_rows_in_pages_with_the_totals_of_all(self, client: Client) -> None:
        address = (
            "/api/v1/fleet/north/reports/trips?from=2026-11-01&to=2026-11-19&limit=3&columns=start,distance"
        )
        first = client.get(address).json()
        assert (first["count"], len(first["rows"]), first["totals"]) == (4, 3, {"distance": 260_000.0})
        assert first["rows"][0] == {"start": "2026-11-12T05:00:00-05:00", "distance": 50_000.0}
        second = client.get(first["next"]).json()
        assert len(second["rows"]) == 1 and second["next"] is None

    def test_files_and_refusals(self, client: Client) -> None:
        address = "/api/v1/fleet/north/reports/trips?from=2026-11-01&to=2026-11-19"
        reply = client.get(f"{address}&format=csv&dialect=tab&time_zone=UTC")
        assert reply.content.decode("utf-8-sig").startswith("Start (UTC)\t")
        for wrong, field in (
            ("format=pdf", "format"),
            ("vehicles=bus", "vehicles"),
            ("time_zone=x", "time_zone"),
        ):
            answer = client.get(f"{address}&{wrong}")
            assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == field
        assert client.get("/api/v1/fleet/north/reports/nonsense").status_code == 404

    def test_the_list_names_columns(self, client: Client) -> None:
        told = {
            report["name"]: report for report in client.get("/api/v1/fleet/north/reports").json()["reports"]
        }
        assert {
            "summary",
            "trips",
            "daily",
            "utilisation",
            "drivers",
            "alerts",
            "devices",
            "compression",
        } <= told.keys()
        assert told["summary"]["formats"][0] == "pdf"


def test_sorting_is_complete_where_values_are_equal(cars: list[Car]) -> None:
    """Else a row could be on two pages, or on none."""
    found = registry.named("trips")
    assert found
    day = datetime(2024, 5, 1, 8, tzinfo=UTC)
    keep(cars[0].vehicle, [told(f"same-{n}", day, 30, 10) for n in range(20)])
    table = wishes.table_of(
        found, fleet(), Wish(first=day.date(), last=day.date(), columns=("trip",), sort="distance")
    )
    seen = [row[0] for number in range(1, 8) for row in table.page(number, 3)]
    assert len(seen) == len(set(seen)) == 20
    assert Ask(table.ask.fleet, table.ask.period) == table.ask

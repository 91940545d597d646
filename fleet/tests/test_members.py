"""Members: who may change whom, that an owner remains whatever happens, and the pages and API that do it."""

from contextlib import suppress
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.alerting.alerts import Report, assign, raise_alert
from fleet.audit import Actor
from fleet.drivers import Facts, add
from fleet.models import AuditEntry, Fleet, Invitation, Membership, Role, Severity, User
from fleet.people import invitations, members
from fleet.tests.conftest import BACKEND, People, Queries
from tests.world import make_car, make_person

pytestmark = pytest.mark.django_db
OWNER, MANAGER, VIEWER, DRIVER = Role.OWNER, Role.MANAGER, Role.VIEWER, Role.DRIVER
API = "/api/v1/fleet/north/members"


def actor(user: User) -> Actor:
    return Actor(str(user), user, "203.0.113.9")


def join(fleet: Fleet, name: str, role: str) -> Membership:
    return make_person(f"{name}@example.com", fleet.slug, role).memberships.get()


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def role_of(member: Membership) -> str:
    return Membership.objects.get(pk=member.pk).role


@pytest.mark.parametrize(
    ("by", "before", "after", "allowed"),
    [
        (OWNER, VIEWER, OWNER, True),
        (OWNER, OWNER, DRIVER, True),
        (MANAGER, VIEWER, DRIVER, True),
        (MANAGER, DRIVER, VIEWER, True),
        (MANAGER, VIEWER, MANAGER, False),
        (MANAGER, MANAGER, VIEWER, False),
        (MANAGER, OWNER, VIEWER, False),
        (VIEWER, DRIVER, VIEWER, False),
        (DRIVER, DRIVER, VIEWER, False),
    ],
)
def test_who_may_change_whom(
    fleet: Fleet, people: People, by: str, before: str, after: str, allowed: bool
) -> None:
    one, other = join(fleet, "one", by), join(fleet, "other", before)
    if not allowed:
        with pytest.raises(members.ForbiddenError):
            members.change_role(actor(one.user), other, after)
        assert role_of(other) == before
        assert not AuditEntry.objects.filter(action="member.role_changed").exists()
        return
    members.change_role(actor(one.user), other, after)
    assert role_of(other) == after
    entry = AuditEntry.objects.get(action="member.role_changed")
    assert (entry.before, entry.after) == ({"role": before}, {"role": after})
    assert (entry.fleet, entry.actor, entry.address) == (fleet, str(one.user), "203.0.113.9")


@pytest.mark.parametrize("role", [MANAGER, VIEWER, DRIVER])
def test_nobody_raises_themselves(fleet: Fleet, people: People, role: str) -> None:
    me = join(fleet, "me", role)
    for wanted in (OWNER, MANAGER):
        with suppress(members.RefusedError):
            members.change_role(actor(me.user), me, wanted)
        assert role_of(me) == role


def test_the_last_owner_stays(fleet: Fleet, people: People) -> None:
    only = people.owner.memberships.get()
    for act in (lambda: members.change_role(actor(people.owner), only, VIEWER),
                lambda: members.remove(actor(people.owner), only)):  # fmt: skip
        with pytest.raises(members.RefusedError, match="at least one owner"):
            act()
    closed = join(fleet, "closed", OWNER)
    User.objects.filter(pk=closed.user_id).update(is_active=False)
    with pytest.raises(
        members.RefusedError, match="at least one owner"
    ):  # who cannot log in looks after nothing
        members.remove(actor(people.owner), only)
    join(fleet, "next", OWNER)
    members.remove(actor(people.owner), only)
    assert not people.owner.memberships.exists()


def test_anybody_may_leave(fleet: Fleet, people: People) -> None:
    client = browser(people.viewer)
    assert client.post("/account/leave", {"fleet": "north"}).headers["Location"] == "/account"
    assert not people.viewer.memberships.exists()
    assert client.post("/account/leave", {"fleet": "north"}).status_code == 404


def test_what_hangs_on_a_member_goes_with_them(fleet: Fleet, people: People) -> None:
    car = make_car("north", "van")
    leaving = join(fleet, "leaving", MANAGER)
    add(actor(people.owner), fleet, "driver_1", Facts("Leo", account="leaving@example.com"))
    alert = raise_alert(car.vehicle, Report("test", Severity.INFO, "x", car.vehicle.created_at)).alert
    assign(alert, actor(people.owner), leaving.user)
    promised = invitations.invite(actor(leaving.user), fleet, "new@example.com", VIEWER)
    client = browser(leaving.user)
    assert client.get("/vehicles/north/van/").status_code == 200

    members.remove(actor(people.owner), leaving)

    assert client.get("/vehicles/north/van/").status_code == 404
    assert client.get(API).status_code == 404
    alert.refresh_from_db()
    promised.refresh_from_db()
    assert alert.assigned_to is None and promised.revoked_at is not None
    assert not fleet.drivers.exclude(user=None).exists()


def test_a_demoted_manager_keeps_no_word_beyond_the_new_role(fleet: Fleet, people: People) -> None:
    demoted = join(fleet, "demoted", OWNER)
    for name, role in (("a", MANAGER), ("b", VIEWER)):
        invitations.invite(actor(demoted.user), fleet, f"{name}@example.com", role)
    members.change_role(actor(people.owner), demoted, MANAGER)
    kept = Invitation.objects.unanswered().values_list("email", flat=True)
    assert list(kept) == ["b@example.com"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 2, st.sampled_from([*Role.values, "out"])), max_size=12))
def test_whatever_people_do_an_owner_remains(people: People, steps: list[tuple[int, int, str]]) -> None:
    fleet = Fleet.objects.create(slug="play", name="Play")
    roles = (OWNER, OWNER, MANAGER, VIEWER, DRIVER)
    try:
        crew = [join(fleet, f"p{place}", role) for place, role in enumerate(roles)]
        for who, whom, wish in steps:
            held = dict(fleet.memberships.values_list("user_id", "role"))
            with suppress(members.RefusedError):
                if wish == "out":
                    members.remove(actor(crew[who].user), crew[whom])
                else:
                    members.change_role(actor(crew[who].user), crew[whom], wish)
            now = dict(fleet.memberships.values_list("user_id", "role"))
            assert OWNER in now.values()
            changed = {user for user in held if held[user] != now.get(user)}
            by = held.get(crew[who].user_id)
            if by != OWNER:  # only downwards, or oneself out
                touched = {held[user] for user in changed - {crew[who].user_id}}
                assert touched <= ({VIEWER, DRIVER} if by == MANAGER else set())
                assert not {now.get(user) for user in changed} & {OWNER, MANAGER}
    finally:
        User.objects.filter(memberships__fleet=fleet).delete()
        User.objects.filter(email__startswith="p", email__regex="^p[0-4]@").delete()
        fleet.delete()


class TestPage:
    def test_search_filter_sort_page_export(self, fleet: Fleet, people: People) -> None:
        make_person("zoe@example.com", "north", DRIVER, first_name="Zoe", last_name="=Abel")
        client = browser(people.owner)

        def shown(query: str) -> list[str]:
            return [row.user.email for row in client.get(f"/fleets/north/members?{query}").context["members"]]

        assert set(shown("")) == {"owner@example.com", "viewer@example.com", "zoe@example.com"}
        assert shown("q=zoe+abel") == shown("role=driver") == ["zoe@example.com"]
        assert shown("q=%00nobody") == []
        assert shown("sort=since")[0] == "zoe@example.com"
        assert shown("sort=nonsense&role=nonsense") == shown("")
        assert shown("sort=login&page=99") == shown("sort=login")
        assert (
            "<html"
            not in client.get("/fleets/north/members", headers={"HX-Request": "true"}).content.decode()
        )
        part = client.get("/fleets/north/members?q=zoe", headers={"HX-Request": "true"}).content.decode()
        assert "q=zoe&amp;export=csv" in part  # the link fits what is listed
        file = client.get("/fleets/north/members?role=driver&export=csv").content.decode().splitlines()
        assert len(file) == 2 and file[1].startswith("zoe@example.com,Zoe =Abel,driver,off,,")

    def test_what_the_list_costs(
        self, fleet: Fleet, people: People, django_assert_num_queries: Queries
    ) -> None:
        client = browser(people.owner)
        for number in range(30):
            join(fleet, f"m{number}", VIEWER)
        # session, person, roles, fleet, counts, members, invitations, fleets for the head
        with django_assert_num_queries(8):
            client.get("/fleets/north/members")

    def test_one_member(self, fleet: Fleet, people: People) -> None:
        viewer, boss = people.viewer.memberships.get(), browser(people.owner)
        page = f"/fleets/north/members/{viewer.pk}"
        assert "Change role" in boss.get(page).content.decode()
        assert boss.post(f"{page}/act", {"act": "role", "role": "manager"}).headers["Location"] == page
        assert role_of(viewer) == MANAGER
        assert boss.post(f"{page}/act", {"act": "remove"}).headers["Location"] == page  # not sure
        assert (
            boss.post(f"{page}/act", {"act": "remove", "sure": "1"}).headers["Location"]
            == "/fleets/north/members"
        )
        assert boss.get(page).status_code == boss.post(f"{page}/act").status_code == 404

    def test_managers_find_no_button_that_is_refused(self, fleet: Fleet, people: People) -> None:
        manager, owner = join(fleet, "m", MANAGER), people.owner.memberships.get()
        page = f"/fleets/north/members/{owner.pk}"
        client = browser(manager.user)
        assert "Change role" not in client.get(page).content.decode()
        refused = client.post(f"{page}/act", {"act": "role", "role": "viewer"})
        assert refused.status_code == 403 and "Only an owner" in refused.content.decode()

    def test_who_gives_up_their_rights_lands_where_they_may_be(self, fleet: Fleet, people: People) -> None:
        join(fleet, "next", OWNER)
        mine = people.owner.memberships.get()
        answer = browser(people.owner).post(
            f"/fleets/north/members/{mine.pk}/act", {"act": "role", "role": "driver"}, follow=True
        )
        assert answer.status_code == 200 and answer.request["PATH_INFO"] == "/fleets/north/"

    def test_the_hub_and_the_choice_of_fleets(self, fleet: Fleet, people: People) -> None:
        assert browser(people.viewer).get("/fleets/").headers["Location"] == "/fleets/north/"
        told = browser(people.viewer).get("/fleets/north/").content.decode()
        assert "/fleets/north/sensors" in told and "/fleets/north/members" not in told
        Membership.objects.create(fleet=Fleet.objects.get(slug="south"), user=people.owner, role=VIEWER)
        told = browser(people.owner).get("/fleets/").content.decode()
        assert "North" in told and "South" in told
        assert "No fleet yet" in browser(make_person("new@example.com")).get("/fleets/").content.decode()


class TestApi:
    def test_list_change_and_remove(self, fleet: Fleet, people: People) -> None:
        client, viewer = browser(people.owner), people.viewer.memberships.get()
        found = client.get(f"{API}?role=viewer&q=view").json()["results"]
        assert [(row["id"], row["email"], row["role"]) for row in found] == [
            (viewer.pk, "viewer@example.com", "viewer")
        ]
        assert found[0]["second_factor"] is False and found[0]["last_login"] is None
        assert client.get(f"{API}?role=king").status_code == 400
        changed = self.patch(client, viewer, "GROWER")  # another system's word
        assert changed.status_code == 200 and changed.json()["role"] == "manager"
        assert self.patch(client, viewer, "king").json()["errors"][0]["field"] == "role"
        assert client.delete(f"{API}/{viewer.pk}").status_code == 204
        assert client.delete(f"{API}/{viewer.pk}").status_code == 404

    def test_refusals_are_problems(self, fleet: Fleet, people: People) -> None:
        mine, manager = people.owner.memberships.get(), join(fleet, "m", MANAGER)
        last = self.patch(browser(people.owner), mine, "viewer")
        assert last.status_code == 409 and "at least one owner" in last.json()["detail"]
        theirs = self.patch(browser(manager.user), mine, "viewer")
        assert theirs.status_code == 403 and "owner" in theirs.json()["detail"]
        foreign = people.outsider.memberships.get()
        assert self.patch(browser(people.owner), foreign, "viewer").status_code == 404
        assert browser(people.owner).delete(f"{API}/{2**70}").status_code == 404

    @staticmethod
    def patch(client: Client, member: Membership, role: str) -> Any:
        return client.patch(f"{API}/{member.pk}", {"role": role}, content_type="application/json")

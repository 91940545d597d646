"""The admin of everything: every list and form answers, tokens are shown once, large tables are not counted."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.models import Device, DeviceToken, digest_of
from fleet.models import Fleet, Membership, User, Vehicle, VehicleState

OURS = {"fleet", "devices", "telemetry", "auth"}
REGISTERED = [model for model in admin.site._registry if model._meta.app_label in OURS]


def url_of(model: Any, page: str = "changelist", *args: Any) -> str:
    from django.urls import reverse

    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def administrator(db: None, client: Client) -> User:
    user = User.objects.create_superuser("root@example.com", "secret")
    client.force_login(user)
    return user


@pytest.fixture
def devices(administrator: User) -> list[Device]:
    fleet = Fleet.objects.create(slug="north", name="North")
    Membership.objects.create(fleet=fleet, user=administrator)
    made = []
    for number in range(3):
        vehicle = Vehicle.objects.create(
            fleet=fleet, slug=f"v-{number}", name=f"V {number}", vin=f"WCV{number}"
        )
        now = timezone.now()
        VehicleState.objects.create(vehicle=vehicle, time=now, received_at=now)
        made.append(Device.objects.create(vehicle=vehicle, slug=f"d-{number}", name=f"D {number}"))
        DeviceToken.objects.issue(made[-1], "test")
    return made


def test_every_model_of_ours_is_there() -> None:
    from django.apps import apps

    ours = {
        model
        for model in apps.get_models()
        if model._meta.app_label in OURS - {"auth"} and not model._meta.auto_created
    }
    assert ours <= set(REGISTERED)


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model.__name__)
def test_every_list_answers_without_counting(client: Client, devices: list[Device], model: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = client.get(url_of(model))
    assert response.status_code == 200
    table = model._meta.db_table
    if model._meta.app_label != "auth":
        counted = [q["sql"] for q in queries if re.search(rf'COUNT\(.*FROM "{table}"', q["sql"])]
        assert counted == []
    assert len(queries) <= 8
    assert client.get(url_of(model), {"q": "v"}).status_code == 200


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model.__name__)
def test_every_form_answers_or_is_refused(client: Client, devices: list[Device], model: Any) -> None:
    options: ModelAdmin[Any] = admin.site._registry[model]
    request = client.get("/admin/").wsgi_request
    allowed = options.has_add_permission(request)
    assert client.get(url_of(model, "add")).status_code == (200 if allowed else 403)
    row = model._default_manager.first()
    if row is not None:
        assert client.get(url_of(model, "change", row.pk)).status_code == 200


def test_an_added_token_is_shown_once_and_works(client: Client, devices: list[Device]) -> None:
    form = {"device": devices[0].pk, "name": "workshop", "expires_at_0": "", "expires_at_1": ""}
    response = client.post(url_of(DeviceToken, "add"), form, follow=True)
    found = re.search(r"cvy_[0-9a-f]{8}_[\w-]+", response.content.decode())
    assert found
    token = DeviceToken.objects.get(name="workshop")
    assert token.digest == digest_of(found[0])
    assert token.created_by is not None
    assert found[0] not in client.get(url_of(DeviceToken)).content.decode()
    assert DeviceToken.objects.filter(device=devices[0]).count() == 2


def test_tokens_for_chosen_devices(client: Client, devices: list[Device]) -> None:
    form = {"action": "issue_tokens", "_selected_action": [devices[0].pk, devices[1].pk]}
    text = client.post(url_of(Device), form, follow=True).content.decode()
    assert len(set(re.findall(r"cvy_[0-9a-f]{8}_[\w-]+", text))) == 2


def test_revoking(client: Client, devices: list[Device]) -> None:
    token = devices[0].tokens.get()
    form = {"action": "revoke", "_selected_action": [token.pk]}
    text = client.post(url_of(DeviceToken), form, follow=True).content.decode()
    assert f"Revoked: {token.prefix}" in text
    token.refresh_from_db()
    assert not token.usable


def test_people_are_added_with_a_password(client: Client, administrator: User) -> None:
    form = {"email": "new@example.com", "password1": "a-long-secret", "password2": "a-long-secret"}
    form |= {f"memberships-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}
    response = client.post(url_of(User, "add"), form)
    assert response.status_code == 302, response.context["errors"]
    assert User.objects.get(email="new@example.com").check_password("a-long-secret")
    password = client.get(f"/admin/fleet/user/{administrator.pk}/password/")
    assert password.status_code == 200


def test_the_admin_is_for_staff(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("member@example.com", "secret"))
    assert client.get(url_of(Device)).status_code == 302


def test_it_loads_nothing_from_elsewhere(client: Client, devices: list[Device]) -> None:
    response = client.get(url_of(Device))
    assert not re.findall(r'(?:src|href)="https?://[^"]+', response.content.decode())
    assert "default-src 'self'" in response["Content-Security-Policy"]

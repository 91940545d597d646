"""Logging in and out, and what happens after too many wrong passwords."""

import pytest
from django.template.loader import render_to_string
from django.test import Client

from fleet.tests.conftest import People


def log_in(client: Client, password: str, **more: str) -> int:
    form = {"username": "owner@example.com", "password": password, **more}
    return client.post("/login", form).status_code


def test_log_in_leads_to_the_live_map_and_out_again(client: Client, people: People) -> None:
    response = client.post("/login", {"username": "owner@example.com", "password": "secret"})
    assert response.headers["Location"] == "/"
    assert client.get("/login").headers["Location"] == "/"
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").headers["Location"] == "/login"


def test_a_wrong_password_is_said_and_the_address_kept(client: Client, people: People) -> None:
    response = client.post("/login", {"username": "owner@example.com", "password": "wrong"})
    text = response.content.decode()
    assert "do not match" in text
    assert 'value="owner@example.com"' in text


def test_log_in_goes_on_to_the_page_asked_for_but_to_no_other_site(client: Client, people: People) -> None:
    form = {"username": "owner@example.com", "password": "secret"}
    assert client.post("/login", {**form, "next": "/?state=idle"}).headers["Location"] == "/?state=idle"
    client.logout()
    assert client.post("/login", {**form, "next": "https://evil.example/"}).headers["Location"] == "/"


def test_too_many_wrong_passwords(client: Client, people: People) -> None:
    for _ in range(7):
        assert log_in(client, "wrong") == 200
    response = client.post("/login", {"username": "owner@example.com", "password": "wrong"})
    assert response.status_code == 429
    assert "Too many attempts" in response.content.decode()
    assert log_in(client, "secret") == 429


@pytest.mark.parametrize("name", ["500.html"])
def test_the_last_resort_needs_no_context(name: str) -> None:
    assert "Something went wrong" in render_to_string(name)

"""The sandbox mailbox implements Resend's API and its errors, and has a page that shows the mails."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from sandbox.mailbox.app import create_app
from sandbox.mailbox.serve import HOST
from sandbox.mailbox.store import Mailbox
from tests.support.shared_data import shared_data

KEY = {"Authorization": "Bearer re_anything"}
MAIL: dict[str, Any] = {
    "from": "Paceline <login@paceline.example>",
    "to": ["ada@example.com"],
    "subject": "Hello",
    "text": "See http://127.0.0.1:18000/x?a=1&b=2 now",
}


@pytest.fixture
def client() -> FlaskClient:
    return create_app(Mailbox(limit=5)).test_client()


def send(client: FlaskClient, mail: Any = None, **headers: str) -> Any:
    return client.post("/emails", json=MAIL if mail is None else mail, headers=KEY | headers)


def test_a_sent_mail_can_be_read(client: FlaskClient) -> None:
    sent = send(client)
    assert sent.status_code == 200
    mail = client.get(f"/emails/{sent.json['id']}", headers=KEY).json
    assert (mail["object"], mail["to"], mail["subject"]) == ("email", ["ada@example.com"], "Hello")
    assert (mail["text"], mail["html"], mail["last_event"]) == (MAIL["text"], None, "delivered")


def test_answers_have_the_fields_of_the_published_openapi_document(client: FlaskClient) -> None:
    import json

    described = json.loads(shared_data("integrations", "resend", "resend.json").read_text())
    fields = set(described["components"]["schemas"]["Email"]["properties"])
    mail = client.get(f"/emails/{send(client).json['id']}", headers=KEY).json
    assert set(mail) <= fields
    listed = client.get("/emails", headers=KEY).json
    assert set(listed) == set(described["components"]["schemas"]["ListEmailsResponse"]["properties"])


@pytest.mark.parametrize(
    ("change", "status", "name"),
    [
        ({"from": None}, 422, "missing_required_field"),
        ({"to": []}, 422, "missing_required_field"),
        ({"subject": ""}, 422, "missing_required_field"),
        ({"text": None}, 422, "missing_required_field"),
        ({"from": "invalid"}, 422, "invalid_from_address"),
        ({"to": "invalid"}, 422, "validation_error"),
        ({"to": ["a@example.com"] * 51}, 422, "validation_error"),
        ({"cc": 5}, 422, "validation_error"),
        ({"text": 5}, 422, "validation_error"),
        ({"colour": "red"}, 422, "validation_error"),
    ],
)
def test_bad_mails_are_refused_as_resend_does(
    client: FlaskClient, change: dict[str, Any], status: int, name: str
) -> None:
    answer = send(client, MAIL | change)
    assert (answer.status_code, answer.json["statusCode"], answer.json["name"]) == (status, status, name)
    assert answer.json["message"]
    assert client.get("/emails", headers=KEY).json["data"] == []


def test_invalid_bodies_and_requests_without_a_key_are_refused(client: FlaskClient) -> None:
    assert send(client, [MAIL]).json["name"] == "validation_error"
    assert client.post("/emails", json=MAIL).json["name"] == "missing_api_key"
    assert client.get("/emails").status_code == 401
    assert client.get("/emails/none", headers=KEY).json["name"] == "not_found"


def test_an_idempotency_key_sends_once(client: FlaskClient) -> None:
    first = send(client, **{"Idempotency-Key": "k"})
    assert send(client, **{"Idempotency-Key": "k"}).json == first.json
    other = send(client, MAIL | {"subject": "Other"}, **{"Idempotency-Key": "k"})
    assert (other.status_code, other.json["name"]) == (409, "invalid_idempotent_request")
    assert send(client, **{"Idempotency-Key": "k" * 257}).json["name"] == "invalid_idempotency_key"
    assert len(client.get("/emails", headers=KEY).json["data"]) == 1


def test_the_list_is_newest_first_and_paged(client: FlaskClient) -> None:
    ids = [send(client, MAIL | {"subject": str(n)}).json["id"] for n in range(4)][::-1]
    page = client.get("/emails?limit=3", headers=KEY).json
    assert ([mail["id"] for mail in page["data"]], page["has_more"]) == (ids[:3], True)
    rest = client.get(f"/emails?limit=3&after={ids[2]}", headers=KEY).json
    assert ([mail["id"] for mail in rest["data"]], rest["has_more"]) == (ids[3:], False)
    assert client.get("/emails?limit=101", headers=KEY).json["name"] == "validation_error"


def test_the_list_can_be_filtered_by_recipient(client: FlaskClient) -> None:
    send(client)
    send(client, MAIL | {"to": "Bob@example.com"})
    found = client.get("/emails?to=bob@example.com", headers=KEY).json["data"]
    assert [mail["to"] for mail in found] == [["Bob@example.com"]]


def test_the_oldest_mails_are_dropped(client: FlaskClient) -> None:
    ids = [send(client, **{"Idempotency-Key": str(n)}).json["id"] for n in range(7)]
    kept = [mail["id"] for mail in client.get("/emails", headers=KEY).json["data"]]
    assert kept == ids[:1:-1]


def test_the_page_shows_links_and_escapes_html(client: FlaskClient) -> None:
    send(client, MAIL | {"subject": "<script>alert(1)</script>"})
    page = client.get("/").text
    assert '<a href="http://127.0.0.1:18000/x?a=1&amp;b=2">' in page
    assert "<script>" not in page


def test_the_mailbox_listens_on_loopback_only() -> None:
    assert HOST == "127.0.0.1"

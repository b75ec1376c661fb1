import copy
import json
import pickle

import msgspec
import pytest

from paceline.core.secret import Secret, SecretUrl


def test_a_secret_shows_its_text_only_when_it_is_revealed() -> None:
    secret = Secret("marker")
    assert secret.reveal() == "marker"
    assert {str(secret), repr(secret), f"{secret}", f"{secret!r}", repr([secret])} == {"***", "[***]"}


def test_secrets_are_equal_by_text_and_never_equal_to_a_plain_text() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("ü")
    assert not Secret("")


def test_a_secret_cannot_be_serialised_by_accident() -> None:
    secret = Secret("marker")
    for serialise in (json.dumps, msgspec.json.encode, msgspec.to_builtins, pickle.dumps):
        with pytest.raises(TypeError) as caught:
            serialise({"password": secret})  # type: ignore[operator]
        assert "marker" not in str(caught.value)
    assert copy.deepcopy(secret) is secret


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:marker@db:5432/x?sslmode=verify-full", "postgresql://u:***@db:5432/x?sslmode=verify-full"),
        ("postgresql://u@db/x?password=marker&application_name=y", "postgresql://u@db/x?password=***&application_name=y"),
        ("postgresql://u@db/x?sslpassword=marker", "postgresql://u@db/x?sslpassword=***"),
        ("redis://:marker@cache/0", "redis://:***@cache/0"),
        ("redis://u:marker@[::1]:6379", "redis://u:***@[::1]:6379"),
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("postgresql://u:mar/ker@db/x", "postgresql://***"),
        ("postgresql://u:mar?ker@db/x", "postgresql://***"),
        ("postgresql://u:mar#ker@db/x", "postgresql://***"),
        ("postgresql://u:p@marker@db/x", "postgresql://u:***@db/x"),
        ("postgresql://db:marker", "postgresql://***"),
        ("u:marker@db", "***"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert repr(SecretUrl(url)) == str(SecretUrl(url)) == shown
    assert SecretUrl(url).reveal() == url

"""Which public URLs are accepted, and when one is required."""

from pathlib import Path

import pytest

from paceline.core.errors import ValidationError
from paceline.local import doctor
from paceline.settings import Settings, load
from paceline.settings.public_url import check_public_url, is_loopback


def settings(folder: Path, **given: str) -> Settings:
    return load({f"PACELINE_{name.upper()}": value for name, value in given.items()}, folder)


@pytest.mark.parametrize("url", ["http://127.0.0.1:18000", "http://localhost:18000", "http://[::1]:18000"])
def test_addresses_of_this_machine_are_loopback(url: str) -> None:
    assert is_loopback(url)


@pytest.mark.parametrize("url", ["https://paceline.example", "http://127.0.0.1.paceline.example", "http://"])
def test_other_addresses_are_not_loopback(url: str) -> None:
    assert not is_loopback(url)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"bind_host": "::1"},
        {"bind_host": "localhost"},
        {"bind_host": "0.0.0.0", "public_url": "http://127.0.0.1:18000"},
        {"bind_host": "0.0.0.0", "public_url": "https://paceline.example"},
        {"public_url": "http://paceline.example", "allow_insecure_public_url": "true"},
    ],
)
def test_usable_public_urls_are_accepted(tmp_path: Path, given: dict[str, str]) -> None:
    check_public_url(settings(tmp_path, **given))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"bind_host": "0.0.0.0"}, "PACELINE_PUBLIC_URL is required"),
        ({"bind_host": "::"}, "PACELINE_PUBLIC_URL is required"),
        ({"bind_host": "192.168.1.5"}, "PACELINE_PUBLIC_URL is required"),
        ({"public_url": "http://paceline.example"}, "must begin with https://"),
        ({"public_url": "https://"}, "has no host"),
        ({"public_url": "https://[::1"}, "must be a URL"),
    ],
)
def test_unusable_public_urls_are_refused_with_the_reason(
    tmp_path: Path, given: dict[str, str], why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        check_public_url(settings(tmp_path, **given))


def test_trusted_proxies_are_addresses_and_networks(tmp_path: Path) -> None:
    assert settings(tmp_path).trusted_proxies == ()
    given = settings(tmp_path, trusted_proxies="10.0.0.5, 10.1.0.0/16,fd00::/8")
    assert given.trusted_proxies == ("10.0.0.5", "10.1.0.0/16", "fd00::/8")


@pytest.mark.parametrize("value", ["*", "proxy.example", "10.0.0.5/8"])
def test_other_trusted_proxies_are_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValidationError, match="must be an address or a network"):
        settings(tmp_path, trusted_proxies=value)


def test_doctor_names_an_unusable_public_url(tmp_path: Path) -> None:
    assert doctor.public_url(settings(tmp_path)).level is doctor.Level.OK
    finding = doctor.public_url(settings(tmp_path, bind_host="0.0.0.0"))
    assert finding.level is doctor.Level.ERROR
    assert "PACELINE_PUBLIC_URL is required" in finding.message

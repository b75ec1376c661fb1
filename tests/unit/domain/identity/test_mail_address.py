import pytest

from paceline.domain.identity.mail_address import mailbox_of, masked


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada+1@Example.com", "ada@example.com"),
        ("ada+a+b@example.com", "ada@example.com"),
        ("a.da@example.com", "a.da@example.com"),
        ("a.d.a+x@gmail.com", "ada@gmail.com"),
        ("A.da@GoogleMail.com", "ada@gmail.com"),
        ("+@example.com", "+@example.com"),
    ],
)
def test_addresses_of_one_mailbox_are_counted_together(email: str, mailbox: str) -> None:
    assert mailbox_of(email) == mailbox


def test_a_masked_address_shows_one_character_and_the_domain() -> None:
    assert masked("ada.lovelace@example.com") == "a…@example.com"

"""The account of a member. It must never change: it is the key of all that the member owns."""

from uuid import UUID

from paceline.domain.identity.accounts import account_of, default_display_name

MEMBER = UUID("0f2c1f6e-3d0a-4a77-9a43-5b7d9c1e2f30")


def test_an_account_is_the_start_of_the_hash_of_the_members_id() -> None:
    assert account_of(MEMBER.bytes) == "34542bae8a6c5d729a4b"


def test_the_default_name_is_made_from_the_account() -> None:
    assert default_display_name(account_of(MEMBER.bytes)) == "trader-34542b"

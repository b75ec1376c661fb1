"""The engine account of a member, and the name that others see until the member chooses one."""

from hashlib import sha256


def account_of(member_id: bytes) -> str:
    """The engine account of a member, from the 16 bytes of the member's id: 20 lower-case hex characters.

    It is a hash, because accounts are public in the leaderboard and ids are not.
    """
    return sha256(member_id).hexdigest()[:20]


def default_display_name(account: str) -> str:
    return f"trader-{account[:6]}"

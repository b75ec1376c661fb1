"""Which e-mail addresses reach the same mailbox, and how an address is shown to a stranger."""

from typing import Final

# Providers that ignore dots in the local part, by the name under which we count them.
_DOTS_IGNORED: Final = {"gmail.com": "gmail.com", "googlemail.com": "gmail.com"}


def mailbox_of(email: str) -> str:
    """The mailbox of an address, for limits only: lower case, without `+tag`, without Gmail's dots.

    Two members may share the result, so it must not identify a member.
    """
    local, _, domain = email.lower().rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _DOTS_IGNORED:
        local, domain = local.replace(".", ""), _DOTS_IGNORED[domain]
    return f"{local}@{domain}"


def masked(email: str) -> str:
    """The address with only the first character of its local part: `a…@example.com`."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain}"

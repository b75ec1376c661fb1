"""Sign-in links: sent by mail, redeemed once, and the result when sending fails."""

import re
from typing import Any

import pytest

from paceline.core.errors import AuthenticationError, TransientError, UnknownError
from paceline.usecases.identity.sign_in import redeem, send_link
from tests.support.fakes.identity.members import FakeMembers
from tests.support.fakes.notifications.notifier import FakeNotifier


def ask(members: FakeMembers, notifier: FakeNotifier, **about: Any) -> str:
    """Send a link and return the mailed token."""
    wanted: dict[str, Any] = {"email": "ada@example.com", "display_name": "Ada", "lifetime_min": 15} | about
    send_link(members, notifier, verify_url="https://paceline.example/verify", **wanted)
    found = re.search(r"https://paceline\.example/verify\?token=(\S+)", notifier.mails[-1].text)
    assert found is not None
    assert found.group(1) in notifier.mails[-1].html
    return found.group(1)


def test_the_mailed_token_signs_in_once() -> None:
    members, notifier = FakeMembers(), FakeNotifier()
    token = ask(members, notifier)
    member, session = redeem(members, token, 60)
    assert (member.email, member.display_name) == ("ada@example.com", "Ada")
    assert members.of_session(session) == member
    with pytest.raises(AuthenticationError, match="is used, expired"):
        redeem(members, token, 60)


def test_a_link_has_the_lifetime_given_in_the_mail() -> None:
    members, notifier = FakeMembers(), FakeNotifier()
    token = ask(members, notifier, lifetime_min=0)
    assert "within 0 minutes" in notifier.mails[-1].text
    with pytest.raises(AuthenticationError):
        redeem(members, token, 60)


def test_each_link_is_a_new_mail() -> None:
    members, notifier = FakeMembers(), FakeNotifier()
    assert ask(members, notifier) != ask(members, notifier)
    assert len(notifier.mails) == 2


def test_an_uncertain_mail_is_accepted_and_a_failed_one_raises() -> None:
    members, notifier = FakeMembers(), FakeNotifier()
    about: dict[str, Any] = {"email": "a@example.com", "display_name": None, "lifetime_min": 1}
    notifier.failure = UnknownError("no answer")
    send_link(members, notifier, verify_url="u", **about)
    notifier.failure = TransientError("busy")
    with pytest.raises(TransientError):
        send_link(members, notifier, verify_url="u", **about)

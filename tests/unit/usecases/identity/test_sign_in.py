"""Sign-in by link and by code: sent by mail, used once, in one browser."""

import re
from typing import Any, NamedTuple

import pytest

from paceline.core.errors import AuthenticationError, AuthorizationError, TransientError
from paceline.ports.identity import CODE_TRIES
from paceline.usecases.identity.sign_in import (
    look_up,
    new_browser_secret,
    redeem,
    redeem_code,
    send_link,
)
from tests.support.fakes.identity.members import FakeMembers
from tests.support.fakes.notifications.mail_queue import FakeMailQueue

EMAIL = "ada@example.com"
BROWSER = new_browser_secret()


class Mailed(NamedTuple):
    token: str
    code: str


def ask(members: FakeMembers, mails: FakeMailQueue, **about: Any) -> Mailed:
    """Send a link and return the mailed token and code."""
    wanted: dict[str, Any] = {
        "email": EMAIL, "display_name": "Ada", "browser": BROWSER, "lifetime_min": 15
    } | about  # fmt: skip
    send_link(members, mails, verify_url="https://paceline.example/verify", **wanted)
    mail = mails.waiting[-1]
    token = re.search(r"https://paceline\.example/verify\?token=(\S+)", mail.text)
    code = re.search(r"^([0-9]{4}) ([0-9]{4})$", mail.text, re.MULTILINE)
    assert token is not None
    assert code is not None
    assert token[1] in mail.html
    assert code[0] in mail.html
    return Mailed(token[1], code[1] + code[2])


def test_the_mailed_link_signs_in_once() -> None:
    members, mails = FakeMembers(), FakeMailQueue()
    token, _ = ask(members, mails)
    member, session = redeem(members, token, BROWSER, 60)
    assert (member.email, member.display_name) == (EMAIL, "Ada")
    assert members.of_session(session) == member
    with pytest.raises(AuthenticationError, match="is used, expired"):
        redeem(members, token, BROWSER, 60)


@pytest.mark.parametrize("browser", [None, "", "A" * 43])
def test_a_link_signs_in_only_in_the_browser_that_requested_it(browser: str | None) -> None:
    members, mails = FakeMembers(), FakeMailQueue()
    token, _ = ask(members, mails)
    with pytest.raises(AuthorizationError) as refused:
        redeem(members, token, browser, 60)
    assert refused.value.code == "OTHER_BROWSER"
    assert redeem(members, token, BROWSER, 60)[0].email == EMAIL


def test_a_link_names_its_address_in_its_browser_and_masks_it_elsewhere() -> None:
    members, mails = FakeMembers(), FakeMailQueue()
    token, _ = ask(members, mails)
    assert look_up(members, token, BROWSER) == (EMAIL, True)
    assert look_up(members, token, None) == ("a…@example.com", False)
    assert look_up(members, token, new_browser_secret()) == ("a…@example.com", False)
    with pytest.raises(AuthenticationError):
        look_up(members, "unknown", BROWSER)
    assert redeem(members, token, BROWSER, 60)[0].email == EMAIL


def test_the_mailed_code_signs_in_once() -> None:
    members, mails = FakeMembers(), FakeMailQueue()
    token, code = ask(members, mails)
    member, session = redeem_code(members, EMAIL, code, BROWSER, 60)
    assert members.of_session(session) == member
    with pytest.raises(AuthenticationError) as refused:
        redeem_code(members, EMAIL, code, BROWSER, 60)
    assert refused.value.code == "CODE_INVALID"
    with pytest.raises(AuthenticationError):
        redeem(members, token, BROWSER, 60)


def test_a_code_works_only_in_the_browser_that_requested_it() -> None:
    members, mails = FakeMembers(), FakeMailQueue()
    _, code = ask(members, mails)
    with pytest.raises(AuthorizationError):
        redeem_code(members, EMAIL, code, None, 60)
    with pytest.raises(AuthenticationError):
        redeem_code(members, EMAIL, code, new_browser_secret(), 60)
    assert redeem_code(members, EMAIL, code, BROWSER, 60)[0].email == EMAIL


def test_wrong_codes_are_bounded_and_do_not_end_the_link() -> None:
    members, mails = FakeMembers(), FakeMailQueue()
    token, code = ask(members, mails)
    wrong = f"{(int(code) + 1) % 10**8:08}"
    for _ in range(CODE_TRIES):
        with pytest.raises(AuthenticationError):
            redeem_code(members, EMAIL, wrong, BROWSER, 60)
    with pytest.raises(AuthenticationError):
        redeem_code(members, EMAIL, code, BROWSER, 60)
    assert redeem(members, token, BROWSER, 60)[0].email == EMAIL


def test_a_link_has_the_lifetime_given_in_the_mail() -> None:
    members, mails = FakeMembers(), FakeMailQueue()
    token, _ = ask(members, mails, lifetime_min=0)
    assert "within 0 minutes" in mails.waiting[-1].text
    with pytest.raises(AuthenticationError):
        redeem(members, token, BROWSER, 60)


def test_each_link_is_a_new_mail_and_the_earlier_one_still_works() -> None:
    members, mails = FakeMembers(), FakeMailQueue()
    first, second = ask(members, mails), ask(members, mails)
    assert first != second
    assert len({mail.key for mail in mails.waiting}) == 2
    assert redeem(members, first.token, BROWSER, 60)[0].email == EMAIL


def test_a_full_mail_queue_is_reported() -> None:
    members, mails = FakeMembers(), FakeMailQueue(capacity=0)
    with pytest.raises(TransientError):
        ask(members, mails)

"""Runs all traders of the demo in one process and stores their sessions on disk."""

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

from sandbox.traders.api import ApiClient, SavedSession
from sandbox.traders.prices import PriceHistory
from sandbox.traders.styles import display_name, style_of
from sandbox.traders.trader import Trader

log = structlog.get_logger("traders")

_STAGGER_S: Final = 0.25
_SAVE_EVERY_S: Final = 5.0


def load_sessions(path: Path) -> dict[str, SavedSession]:
    """Sessions by e-mail address; empty if the file is missing or invalid."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, SavedSession])
    except (OSError, msgspec.MsgspecError):
        return {}


def save_sessions(path: Path, sessions: dict[str, SavedSession]) -> None:
    """Store sessions in a file that only its owner can read, because a session gives access to its member."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(sessions))
    os.replace(part, path)


async def run(count: int, seed: int, api_url: str, mailbox_url: str, sessions_path: Path) -> None:
    """Run `count` traders until cancelled."""
    sessions = load_sessions(sessions_path)
    numbers = {f"trader-{number + 1:03d}@demo.paceline.example": number for number in range(count)}
    members = {
        email: ApiClient(api_url, mailbox_url, email, display_name(number), sessions.get(email))
        for email, number in numbers.items()
    }
    market = PriceHistory()
    log.info("traders started", count=count, seed=seed, sessions=len(sessions))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(market.watch(next(iter(members.values()))))
            group.create_task(_save_repeatedly(sessions_path, members))
            for email, number in numbers.items():
                trader = Trader(display_name(number), style_of(number), members[email], market, seed)
                group.create_task(trader.run())
                await asyncio.sleep(_STAGGER_S)
    finally:
        for member in members.values():
            await member.close()
        _save(sessions_path, members)


async def _save_repeatedly(path: Path, members: dict[str, ApiClient]) -> None:
    while True:
        await asyncio.sleep(_SAVE_EVERY_S)
        _save(path, members)


def _save(path: Path, members: dict[str, ApiClient]) -> None:
    signed_in = {email: member.session for email, member in members.items() if member.session.csrf_token}
    if signed_in:
        save_sessions(path, signed_in)

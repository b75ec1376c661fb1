"""The acts of a drill: what is done to which service, in which order. One seed decides it all."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

from paceline.core.errors import ValidationError

SERVICES: Final = ("engine", "writer", "router", "bars", "feed", "api", "kafka", "redis", "postgres")
_PAUSE_S: Final = (1.0, 8.0)
_REST_S: Final = (0.2, 1.5)


Kind = Literal["kill", "pause"]


@dataclass(frozen=True)
class Act:
    """SIGKILL, or SIGSTOP with SIGCONT after `pause_s`; `rest_s` follows once the service has recovered.

    `family`: a kill ends its child processes too; else they must notice it. A pause stops them all.
    """

    number: int
    service: str
    kind: Kind
    family: bool
    pause_s: float
    rest_s: float


def planned(seed: int, kills: Mapping[str, int], pauses_per_kill: float) -> Iterator[Act]:
    """The given number of kills for each service, plus pauses, shuffled."""
    draw = random.Random(f"acts:{seed}")
    wanted: list[tuple[str, Kind]] = []
    for service in SERVICES:
        count = kills.get(service, 0)
        wanted.extend((service, "kill") for _ in range(count))
        wanted.extend((service, "pause") for _ in range(ceil(count * pauses_per_kill)))
    draw.shuffle(wanted)
    for number, (service, kind) in enumerate(wanted, 1):
        yield _act(draw, number, service, kind)


def endless(seed: int, pauses_per_kill: float) -> Iterator[Act]:
    """Rounds without end; each has one act for every service, two for the engine."""
    draw = random.Random(f"acts:{seed}")
    number = 0
    while True:
        for service in draw.sample(["engine", *SERVICES], len(SERVICES) + 1):
            number += 1
            share = pauses_per_kill / (1 + pauses_per_kill)
            yield _act(draw, number, service, "pause" if draw.random() < share else "kill")


def _act(draw: random.Random, number: int, service: str, kind: Kind) -> Act:
    family, pause_s, rest_s = draw.random() < 0.5, draw.uniform(*_PAUSE_S), draw.uniform(*_REST_S)
    return Act(number, service, kind, family, round(pause_s, 2) if kind == "pause" else 0.0, rest_s)


def parse_kills(text: str) -> dict[str, int]:
    """`engine=200,writer=50` as a mapping; `ValidationError` for anything else."""
    found: dict[str, int] = {}
    for part in text.split(","):
        service, equals, count = part.strip().partition("=")
        if service not in SERVICES or not equals or not count.isdecimal() or service in found:
            raise ValidationError(
                f"{part.strip()!r} is not SERVICE=COUNT with each service once. "
                f"The services are {', '.join(SERVICES)}."
            )
        found[service] = int(count)
    return found

"""Messages of one shard and the engine's effects, encoded as records of the log."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from paceline.domain.operations.readers import OffsetRange
from paceline.engine import Engine
from paceline.messages.inbound import Inbound, PriceUpdate
from paceline.messages.json_form import DecodeError, decode_line
from paceline.messages.log_form import Undecodable, encode_effects
from paceline.messages.outbound import Effect
from tests.support.engine_messages import Scenario


@dataclass
class LogRecord:
    offset: int
    value: bytes


@dataclass
class Day:
    """`effects` in the order of the engine; `engine` in its final state."""

    messages: list[Inbound | Undecodable]
    engine: Engine
    effects: list[Effect] = field(default_factory=list)

    def records(self, effects_per_record: int) -> list[LogRecord]:
        return records_of(self.effects, effects_per_record)


def scenario_messages(seed: int, length: int) -> list[Inbound | Undecodable]:
    return [_decoded(line) for line in Scenario(seed, length).lines]


def _decoded(line: str) -> Inbound | Undecodable:
    try:
        return decode_line(line)
    except DecodeError as error:
        return Undecodable(line.encode(), str(error))


def day(messages: Sequence[Inbound | Undecodable], shard: int = 0) -> Day:
    """Apply the messages to a new engine."""
    done = Day(list(messages), Engine(shard=shard))
    for message in messages:
        position = done.engine.position
        if isinstance(message, Undecodable):
            done.engine.apply_undecodable()
            continue
        outputs = done.engine.apply(message)
        if outputs or not isinstance(message, PriceUpdate):
            done.effects.append(Effect(position, done.engine.log_time, message, outputs))
    return done


def records_of(effects: Sequence[Effect], effects_per_record: int) -> list[LogRecord]:
    starts = range(0, len(effects), effects_per_record)
    return [
        LogRecord(offset, encode_effects(effects[start : start + effects_per_record]))
        for offset, start in enumerate(starts)
    ]


def bounds_of(records: Sequence[LogRecord]) -> OffsetRange:
    return OffsetRange(0, len(records))

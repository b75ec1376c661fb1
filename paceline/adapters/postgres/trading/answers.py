"""The engine's answers that the writer has stored (`engine.instructions`)."""

from typing import cast

import msgspec

from paceline.adapters.postgres.connections.pool import Pool
from paceline.messages.inbound import UserInstruction
from paceline.messages.json_form import from_json
from paceline.ports.trading import Answer, AnsweredInstruction


class PostgresAnswers:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def find(self, account: str, instruction: str, since_us: int = 0) -> AnsweredInstruction | None:
        row = self._pool.of(account).row(
            "select message, response from engine.instructions where account = %s and instruction = %s "
            "and not duplicate and stamped_us >= %s and response is not null "
            "order by position desc limit 1",
            (account, instruction, since_us),
        )
        if row is None:
            return None
        message = cast(UserInstruction, from_json(row["message"]))  # only these are answered
        return AnsweredInstruction(message, msgspec.convert(row["response"], Answer))

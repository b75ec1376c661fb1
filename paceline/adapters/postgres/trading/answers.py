"""The engine's answers that the writer has stored (`engine.instructions`)."""

import msgspec

from paceline.adapters.postgres.connections.pool import Pool
from paceline.ports.trading import Answer


class PostgresAnswers:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def find(self, account: str, instruction: str, since_us: int = 0) -> Answer | None:
        row = self._pool.row(
            "select response from engine.instructions where account = %s and instruction = %s "
            "and not duplicate and stamped_us >= %s and response is not null "
            "order by position desc limit 1",
            (account, instruction, since_us),
        )
        return None if row is None else msgspec.convert(row["response"], Answer)

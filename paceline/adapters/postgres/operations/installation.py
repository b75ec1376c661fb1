"""Facts of the installation that must never change (`engine.installation`)."""

from paceline.adapters.postgres.connections.connect import Connection
from paceline.core.errors import PermanentError


async def ensure_shards(connection: Connection, shards: int) -> None:
    """Fix the number of shards at the first call; `PermanentError` at a later call with another number."""
    await connection.execute(
        "insert into engine.installation (shards) values (%s) on conflict do nothing", (shards,)
    )
    cursor = await connection.execute("select shards from engine.installation")
    row = await cursor.fetchone()
    assert row is not None
    if row[0] != shards:
        raise PermanentError(
            f"This installation has {row[0]} shards, but PACELINE_ENGINE_SHARDS is {shards}. "
            "The number of shards is fixed at installation: set it back."
        )

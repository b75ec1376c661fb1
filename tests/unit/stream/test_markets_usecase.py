"""Default markets go onto the log of the shards that lack them, and nowhere else."""

from collections.abc import Sequence

from msgspec.structs import replace

from paceline.messages.inbound import ConfigureMarket, Inbound
from paceline.usecases.markets import configure_markets, default_markets


class Log:
    def __init__(self) -> None:
        self.records: list[tuple[int, list[Inbound]]] = []

    async def append(self, shard: int, messages: Sequence[Inbound]) -> int:
        self.records.append((shard, list(messages)))
        return len(self.records) - 1


class Book:
    def __init__(self, known: dict[int, dict[str, ConfigureMarket]]) -> None:
        self.known = known

    async def configured(self) -> dict[int, dict[str, ConfigureMarket]]:
        return self.known


async def test_a_new_installation_gets_all_on_every_shard() -> None:
    log = Log()
    assert await configure_markets(default_markets(), Book({}), log, shards=3, now_us=9) == 12
    assert [shard for shard, _ in log.records] == [0, 1, 2]
    assert {m.time for _, messages in log.records for m in messages} == {9}
    assert all(m.id for _, messages in log.records for m in messages)


async def test_what_is_configured_stays_however_and_what_is_missing_is_written() -> None:
    known = {m.symbol: replace(m, id="earlier", time=3) for m in default_markets()}
    otherwise = known | {"BTC_USDC_PERP": replace(known["BTC_USDC_PERP"], taker_rate_bps=6)}
    del otherwise["ADA_USDC_PERP"]
    log = Log()
    written = await configure_markets(default_markets(), Book({0: known, 1: otherwise}), log, 2, now_us=9)
    assert written == 1
    [(shard, [market])] = log.records
    assert isinstance(market, ConfigureMarket)
    assert (shard, market.symbol) == (1, "ADA_USDC_PERP")

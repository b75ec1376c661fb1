"""Markets, accounts and roles for operators."""

from collections.abc import Mapping
from typing import Final, cast

import msgspec

from paceline.adapters.postgres.connections.health import HealthConnection
from paceline.adapters.postgres.connections.pool import Pool
from paceline.adapters.postgres.numbers import with_decimal_text
from paceline.core.pages import Page
from paceline.messages.json_form import from_json
from paceline.ports.operations import Alert, Instruction, OperatorAccount, OperatorMarket

# The configuration comes from the first shard; `shards` lists all shards that have it.
_MARKETS: Final = """
select distinct on (symbol) m.*, per_symbol.shards, per_symbol.halted_shards
from engine.shard_markets as m
join (
    select symbol, array_agg(shard order by shard) as shards,
        coalesce(array_agg(shard order by shard) filter (where halted), '{}') as halted_shards
    from engine.shard_markets group by symbol
) as per_symbol using (symbol)
order by symbol, m.shard
"""
_ACCOUNTS: Final = """
select a.account, a.shard, a.opened_us as opened, h.halted, b.cash, b.margin, b.locked,
    u.email, u.display_name, u.role,
    (select count(*) from engine.open_trades as o where o.account = a.account) as open_trades
from engine.accounts as a
join engine.account_halts as h using (account)
cross join lateral (
    select cash, margin, locked from engine.balances as x
    where x.account = a.account order by x.position desc, x.ordinal desc limit 1
) as b
left join community.users as u using (account)
"""
_ALERTS: Final = """
select key, severity, message, (extract(epoch from at) * 1000000)::bigint as since, times
from ops.alerts where key is not null and recovered_at is null
order by array_position(array['critical', 'warning', 'info'], severity), at limit %s
"""


class PostgresOperatorStore:
    """`health` reads the alerts, which anyone may ask for with `/health`."""

    def __init__(self, pool: Pool, health: HealthConnection) -> None:
        self._pool = pool
        self._health = health

    def markets(self) -> list[OperatorMarket]:
        return [msgspec.convert(with_decimal_text(row), OperatorMarket) for row in self._pool.rows(_MARKETS)]

    def account(self, account: str) -> OperatorAccount | None:
        row = self._pool.of_operator().row(_ACCOUNTS + "where a.account = %s", (account,))
        return None if row is None else msgspec.convert(with_decimal_text(row), OperatorAccount)

    def account_of(self, email: str) -> str | None:
        row = self._pool.of_operator().row(
            "select account from community.users where email = lower(%s)", (email,)
        )
        return None if row is None else str(row["account"])

    def accounts(self, *, offset: int, limit: int) -> Page[OperatorAccount]:
        counted, rows = self._pool.of_operator().snapshot(
            ("select count(*) as total from engine.accounts", None),
            (_ACCOUNTS + "order by a.opened_us desc, a.account limit %s offset %s", (limit, offset)),
        )
        return Page(
            [msgspec.convert(with_decimal_text(row), OperatorAccount) for row in rows], counted[0]["total"]
        )

    def applied(self, instruction: str, account: str | None) -> Mapping[int, Instruction]:
        # Both forms use the index on (account, instruction, position).
        named = "account = %(account)s" if account is not None else "account is null"
        rows = self._pool.of_operator().rows(
            "select distinct on (shard) shard, message from engine.instructions "  # noqa: S608 - parts are constants of this module, values are bound
            f"where {named} and instruction = %(instruction)s order by shard, position",
            {"account": account, "instruction": instruction},
        )
        return {int(row["shard"]): cast(Instruction, from_json(row["message"])) for row in rows}

    def set_role(self, email: str, role: str) -> bool:
        with self._pool.of_operator().transaction() as connection:
            changed = connection.execute(
                "update community.users set role = %s where email = lower(%s)", (role, email)
            )
            return changed.changed > 0

    def open_alerts(self, limit: int) -> list[Alert]:
        return [msgspec.convert(row, Alert) for row in self._health.rows(_ALERTS, (limit,))]

"""Checks that must pass after a drill. Each returns how many things it compared and which were wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from paceline.core.money import parse_decimal
from paceline.drill.evidence import Cached, ShardEvidence
from paceline.drill.load import Attempt, Sent
from paceline.messages.json_form import output_to_json
from paceline.messages.outbound import BalanceUpdate, ClosedOrder, OrderResponse
from paceline.ports.trading import Answer
from paceline.usecases.trading.instructions import OPENING_ID_PREFIX

_SHOWN = 5
_NEVER_DONE = ("refused", "unreachable")


class Check(Struct, frozen=True):
    """`compared` counts the things compared; `problems` describes those that were wrong.

    A check that compared nothing fails, unless it is `of_luck` whether there is something to compare.
    """

    name: str
    compared: int
    problems: list[str]
    of_luck: bool = False

    @property
    def passed(self) -> bool:
        return (self.compared > 0 or self.of_luck) and not self.problems

    def line(self) -> str:
        if self.compared == 0:
            return f"{self.name}: there was nothing to compare"
        shown = "; ".join(self.problems[:_SHOWN])
        more = f"; and {len(self.problems) - _SHOWN} more" if len(self.problems) > _SHOWN else ""
        return f"{self.name}: {shown}{more}"


class LoggedInstruction(Struct, frozen=True):
    """Log times (µs) and answers of the instructions with one account and id, in log order."""

    times: list[int]
    answers: list[OrderResponse]

    @property
    def first_hand(self) -> list[OrderResponse]:
        return [answer for answer in self.answers if not answer.duplicate]


def logged_instructions(shards: Iterable[ShardEvidence]) -> dict[tuple[str, str], LoggedInstruction]:
    """What the log holds, by account and instruction id."""
    words: dict[tuple[str, str], LoggedInstruction] = {}
    for shard in shards:
        for position, message in shard.instructions.items():
            word = words.setdefault((message.account, message.id), LoggedInstruction([], []))
            word.times.append(message.time)
            answer = shard.outputs.get(f"{shard.shard}:{position}:0")
            if isinstance(answer, OrderResponse):
                word.answers.append(answer)
    return words


def one_answer_each(shards: Sequence[ShardEvidence]) -> Check:
    """Every instruction on `engine.in` has one `order_response` on `engine.out`, its first output."""
    problems, compared = [], 0
    for shard in shards:
        responses = Counter(
            o.id.rpartition(":")[0] for o in shard.out.values() if isinstance(o, OrderResponse)
        )
        for position, message in shard.instructions.items():
            compared += 1
            count = responses.pop(f"{shard.shard}:{position}", 0)
            answer = shard.out.get(f"{shard.shard}:{position}:0")
            if count != 1 or not isinstance(answer, OrderResponse) or answer.instruction != message.id:
                problems.append(f"{message.id} at {shard.shard}:{position} has {count} answers")
        problems += [f"{place} has an answer but no instruction" for place in responses]
    return Check("one answer per instruction on the log", compared, problems)


def outputs_match_replay(shards: Sequence[ShardEvidence]) -> Check:
    """`engine.out` holds the outputs of an uninterrupted replay; copies of an output are equal."""
    problems: list[str] = []
    for shard in shards:
        problems += _differences(shard.outputs, shard.out)
        problems += [f"outputs with the id {id_} differ" for id_ in shard.out_different]
    return Check("engine.out = replay from zero", sum(len(shard.out) for shard in shards), problems)


def all_logged_were_sent(sent: Iterable[Sent], words: Mapping[tuple[str, str], LoggedInstruction]) -> Check:
    """Every instruction on the log was sent by the drill."""
    known = {(one.account, one.key) for one in sent}
    problems = [
        f"{key} of {account}"
        for account, key in words
        if (account, key) not in known and key != OPENING_ID_PREFIX + account
    ]
    return Check("every instruction on the log was sent", len(words), problems)


def carried_out_once(words: Mapping[tuple[str, str], LoggedInstruction]) -> Check:
    """Each instruction was carried out or refused once; later answers repeat the first."""
    problems = []
    for (_, key), word in words.items():
        if len(word.first_hand) != 1:
            problems.append(f"{key} has {len(word.first_hand)} first answers")
        elif any(
            _without_repeat_fields(answer) != _without_repeat_fields(word.first_hand[0])
            for answer in word.answers
        ):
            problems.append(f"{key} has answers that differ")
    return Check("done once, however often it was sent", len(words), problems)


def answers_match_log(sent: Iterable[Sent], words: Mapping[tuple[str, str], LoggedInstruction]) -> Check:
    """Each answer of the API with 200 or 422, at once or looked up later, is on the log."""
    problems, compared = [], 0
    for one in sent:
        for attempt in (*one.attempts, *([one.looked_up] if one.looked_up else ())):
            if attempt.final:
                compared += 1
                word = words.get((one.account, one.key))
                if word is None or not any(_agrees(attempt, answer) for answer in word.answers):
                    problems.append(f"{one.key} was answered {attempt.data}, the log says {word}")
    return Check("answered 200 or 422 = what the log says", compared, problems)


def _agrees(attempt: Attempt, answer: OrderResponse) -> bool:
    if attempt.status == 200:
        return msgspec.convert(attempt.data, Answer, strict=False) == _as_answer(answer)
    return answer.status == "rejected" and attempt.data["code"] == answer.code


def _as_answer(answer: OrderResponse) -> Answer:
    return msgspec.convert(output_to_json(answer), Answer)


def pending_found_later(sent: Iterable[Sent], words: Mapping[tuple[str, str], LoggedInstruction]) -> Check:
    """An instruction without a final answer can be looked up later, if it had reached the log by then."""
    problems, compared = [], 0
    for one in sent:
        if one.looked_up is None:
            continue
        compared += 1
        word = words.get((one.account, one.key))
        reached = word is not None and word.times[0] < one.looked_up.asked_us
        if reached and not one.looked_up.final:
            problems.append(f"{one.key} is on the log, but its look-up returned {one.looked_up.outcome}")
    return Check("202 or lost: readable later if on the log", compared, problems, of_luck=True)


def refused_not_logged(sent: Iterable[Sent], words: Mapping[tuple[str, str], LoggedInstruction]) -> Check:
    """An instruction is not on the log if every attempt got 503 or no connection."""
    never = [one for one in sent if all(attempt.outcome in _NEVER_DONE for attempt in one.attempts)]
    problems = [f"{one.key} is on the log" for one in never if (one.account, one.key) in words]
    return Check("503 or unreachable: never on the log", len(never), problems, of_luck=True)


def no_unexpected_answers(sent: Sequence[Sent]) -> Check:
    """The API gave no unexpected answer, whichever service was unavailable."""
    problems = [
        f"{one.key} ({one.kind}): {attempt.status} {attempt.data}"
        for one in sent
        for attempt in one.attempts
        if attempt.outcome in ("wrong", "unknown")
    ]
    return Check("no other answer than these", sum(len(one.attempts) for one in sent), problems)


def all_settled(sent: Sequence[Sent]) -> Check:
    """Each instruction left without a final answer got one later, under its key."""
    open_ = [one for one in sent if one.looked_up is not None]
    problems = [
        f"{one.key} is still {one.outcome}"
        for one in open_
        if not one.looked_up.final and one.outcome in ("pending", "lost")  # type: ignore[union-attr]
    ]
    return Check("left open: answered in the end", len(open_), problems, of_luck=True)


def stored_closed_orders_are(shards: Sequence[ShardEvidence], stored: Counter[tuple[Any, ...]]) -> Check:
    expected = Counter(
        (o.id, o.account, o.trade, o.order, o.reason, o.quantity, o.remaining, o.profit, o.fee)
        for shard in shards
        for o in shard.outputs.values()
        if isinstance(o, ClosedOrder)
    )
    return _same("every closed order once in Postgres", expected, stored)


def stored_balances_are(shards: Sequence[ShardEvidence], stored: Counter[tuple[Any, ...]]) -> Check:
    expected = Counter(
        (o.id, o.account, o.cash, o.margin, o.locked)
        for shard in shards
        for o in shard.outputs.values()
        if isinstance(o, BalanceUpdate)
    )
    return _same("every balance once in Postgres", expected, stored)


def stored_answers_are(shards: Sequence[ShardEvidence], stored: Counter[tuple[Any, ...]]) -> Check:
    expected = Counter(
        (o.id, o.account, o.instruction, o.status, o.code, o.duplicate)
        for shard in shards
        for o in shard.outputs.values()
        if isinstance(o, OrderResponse)
    )
    return _same("every answer once in Postgres", expected, stored)


def stored_bars_are(expected: Mapping[str, Any], stored: Mapping[str, Any]) -> Check:
    """Bars in Postgres, all symbols and minutes, are those computed from the exported log alone."""
    problems = _differences(expected, stored)
    return Check("every bar in Postgres = from the log", len(expected), problems)


def hashes_agree(shards: Sequence[ShardEvidence]) -> Check:
    """Equal state hashes: the live engine's last snapshot, the oldest one plus the log after it, two replays
    from zero."""
    problems, compared = [], 0
    for shard in shards:
        newest = shard.snapshots[0]
        if newest.position != shard.engine.position:
            problems.append(f"shard {shard.shard}: snapshot at {newest.position} of {shard.engine.position}")
        hashes = {
            "live": newest.state_hash,
            f"snapshot at {shard.snapshots[-1].position} + replay": shard.resumed_hash,
            "replay": shard.engine.state_hash(),
            "paceline replay": shard.cli_hash,
        }
        compared += len(hashes)
        if len(set(hashes.values())) != 1:
            problems.append(f"shard {shard.shard}: {hashes}")
    return Check("hash: live = snapshot + replay = replay", compared, problems)


def ledger_sums_to_zero(shards: Sequence[ShardEvidence]) -> Check:
    sums = [(shard.shard, asset, total) for shard in shards for asset, total in shard.ledger_sums.items()]
    problems = [f"shard {shard}: {asset} sums to {total}" for shard, asset, total in sums if total]
    return Check("ledger sums to zero per shard and asset", len(sums), problems)


def redis_matches_engine(shards: Sequence[ShardEvidence], cached: Cached) -> Check:
    """Balances, open trades and resting orders in Redis equal the engine's."""
    balances: dict[str, Any] = {}
    trades: dict[str, Any] = {}
    orders: dict[str, Any] = {}
    for shard in shards:
        for account in shard.engine.accounts():
            held = [dict(account.free), dict(account.held)]
            balances[account.name] = [account.cash, account.margin, account.locked, *held]
        for trade in shard.engine.open_trades():
            trades[trade.id] = [getattr(trade, name) for name in _TRADE_FIELDS]
        for order in shard.engine.resting_orders():
            price = None if order.distance is not None else order.price
            orders[order.id] = [order.quantity, price, order.distance]
    found_balances = {name: _balance(data) for name, data in cached.balances.items()}
    found_trades = {name: _scaled(data, *_TRADE_FIELDS) for name, data in cached.trades.items()}
    found_orders = {name: _scaled(data, *_ORDER_FIELDS) for name, data in cached.orders.items()}
    problems = [
        *_differences(balances, found_balances),
        *_differences(trades, found_trades),
        *_differences(orders, found_orders),
    ]
    compared = len(balances) + len(trades) + len(orders)
    return Check("Redis = engine: balances, trades, orders", compared, problems)


def api_balances_match(shards: Sequence[ShardEvidence], shown: Mapping[str, Mapping[str, Any]]) -> Check:
    """`GET /account/balance` shows each member what the engine holds."""
    problems = []
    held = {account.name: account for shard in shards for account in shard.engine.accounts()}
    for name, balance in shown.items():
        account = held[name]
        if _scaled(balance, "cash", "margin", "locked") != [account.cash, account.margin, account.locked]:
            problems.append(f"{name} sees {balance}, the engine holds {account}")
    return Check("the API shows the engine's balances", len(shown), problems)


_TRADE_FIELDS = ("entry", "quantity", "margin", "stop_loss", "take_profit", "trailing_stop", "liquidation")
_ORDER_FIELDS = ("quantity", "price", "distance")


def _scaled(data: Mapping[str, Any], *names: str) -> list[int | None]:
    return [None if data[name] is None else parse_decimal(data[name]) for name in names]


def _balance(data: Mapping[str, Any]) -> list[Any]:
    """A balance read from JSON, in the engine's form."""
    assets = (data["balances"], data["locked_balances"])
    scaled = [{asset: parse_decimal(amount) for asset, amount in held.items()} for held in assets]
    return [*_scaled(data, "cash", "margin", "locked"), *scaled]


def _without_repeat_fields(answer: OrderResponse) -> OrderResponse:
    """An answer without the fields that differ when it is repeated."""
    return msgspec.structs.replace(answer, id="", time=0, duplicate=False)


def _differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    missing = [f"{name} is missing" for name in expected.keys() - found.keys()]
    extra = [f"{name} is unexpected" for name in found.keys() - expected.keys()]
    other = [
        f"{name} is {found[name]}, not {expected[name]}"
        for name in expected.keys() & found.keys()
        if expected[name] != found[name]
    ]
    return sorted(missing + extra + other)


def _same(name: str, expected: Counter[tuple[Any, ...]], found: Counter[tuple[Any, ...]]) -> Check:
    missing = [f"missing {row}" for row in expected - found]
    extra = [f"unexpected {row}" for row in found - expected]
    return Check(name, expected.total(), missing + extra)

"""Double-entry bookkeeping: every change of a balance is a set of postings that sums to zero."""

from typing import Final

from paceline.core.errors import InvariantViolation
from paceline.engine.records import Account
from paceline.engine.state import HouseLedger, State
from paceline.engine.turn import Turn

USD: Final = "USD"


def post_usd(
    turn: Turn,
    name: str,
    *,
    cash: int = 0,
    margin: int = 0,
    locked: int = 0,
    external: int = 0,
    fees: int = 0,
    insurance: int = 0,
    house: int = 0,
) -> None:
    """Post USD between an account and the house."""
    if cash + margin + locked + external + fees + insurance + house:
        raise InvariantViolation(f"the postings of {name} do not sum to zero")
    state = turn.state
    old = _account(state, name)
    cash += old.cash
    margin += old.margin
    locked += old.locked
    new = Account(name, cash, margin, locked, old.free, old.held, old.halted)
    if cash < 0 or margin < 0 or locked < 0:
        raise InvariantViolation(f"a balance of {name} is negative: {new}")
    state.accounts.replace(name, new)
    house_accounts = state.house
    if fees:
        house_accounts.fees += fees
    if external or insurance:
        house_accounts.external += external
        house_accounts.insurance += insurance
    if house:
        house_accounts.house[USD] = house_accounts.house.get(USD, 0) + house
    turn.changed[name] = new


def post_asset(turn: Turn, name: str, asset: str, *, free: int = 0, held: int = 0, house: int = 0) -> None:
    """Post an asset between an account and the house."""
    if free + held + house:
        raise InvariantViolation(f"the postings of {name} in {asset} do not sum to zero")
    state = turn.state
    old = _account(state, name)
    new = Account(
        name,
        old.cash,
        old.margin,
        old.locked,
        _with_change(old.free, asset, free),
        _with_change(old.held, asset, held),
        old.halted,
    )
    if new.free.get(asset, 0) < 0 or new.held.get(asset, 0) < 0:
        raise InvariantViolation(f"a balance of {name} is negative: {new}")
    state.accounts.replace(name, new)
    if house:
        state.house.house[asset] = state.house.house.get(asset, 0) + house
    turn.changed[name] = new


def _account(state: State, name: str) -> Account:
    account = state.accounts.get(name)
    if account is None:
        raise InvariantViolation(f"the account {name} of a posting does not exist")
    return account


def _with_change(balances: dict[str, int], asset: str, change: int) -> dict[str, int]:
    """New balances, sorted and without zeros; the same dictionary if nothing changes."""
    if not change:
        return balances
    amount = balances.get(asset, 0) + change
    if asset in balances and amount:
        return {**balances, asset: amount}
    others = {name: value for name, value in balances.items() if name != asset}
    return dict(sorted({**others, asset: amount}.items())) if amount else others


class Totals:
    """Sums per asset and kind of ledger account, added up account by account."""

    def __init__(self, house: HouseLedger) -> None:
        self.by_asset: dict[str, dict[str, int]] = {
            USD: {
                "cash": 0,
                "margin": 0,
                "locked": 0,
                "external": house.external,
                "fees": house.fees,
                "insurance": house.insurance,
                "house": house.house.get(USD, 0),
            }
        }
        for asset, amount in house.house.items():
            self._kinds(asset)["house"] = amount

    def take_up(self, account: Account) -> None:
        """Add an account's balances; `InvariantViolation` if one is negative."""
        usd = self.by_asset[USD]
        usd["cash"] += account.cash
        usd["margin"] += account.margin
        usd["locked"] += account.locked
        if account.cash < 0 or account.margin < 0 or account.locked < 0:
            raise InvariantViolation(f"a balance of {account.name} is negative: {account}")
        if account.free or account.held:
            self._take_up_assets(account)

    def _take_up_assets(self, account: Account) -> None:
        for kind, balances in (("free", account.free), ("locked", account.held)):
            for asset, amount in balances.items():
                if amount < 0:
                    raise InvariantViolation(f"the {kind} {asset} of {account.name} is negative: {amount}")
                kinds = self._kinds(asset)
                kinds[kind] = kinds.get(kind, 0) + amount

    def check(self) -> None:
        """`InvariantViolation` if an asset's postings do not sum to zero."""
        for asset, kinds in self.by_asset.items():
            if total := sum(kinds.values()):
                raise InvariantViolation(f"the ledger of {asset} sums to {total}, not to zero: {kinds}")

    def _kinds(self, asset: str) -> dict[str, int]:
        return self.by_asset.setdefault(asset, {"free": 0, "locked": 0, "house": 0})


def totals(state: State) -> Totals:
    sums = Totals(state.house)
    for account in state.accounts:
        sums.take_up(account)
    return sums

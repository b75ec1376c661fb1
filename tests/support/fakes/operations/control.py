"""The port of the operator endpoints, in memory."""

from msgspec.structs import replace

from paceline.core.pages import Page
from paceline.ports.identity import Member
from paceline.ports.operations import Alert, Instruction, OperatorAccount, OperatorMarket
from tests.support.fakes.store import FakeStore

_WORST_FIRST = ("critical", "warning", "info")


class FakeOperatorStore(FakeStore):
    """`taken` lists what the engines have processed, in their order: `(shard, instruction)`."""

    def __init__(self, *markets: OperatorMarket) -> None:
        self.known = list(markets)
        self.held: list[OperatorAccount] = []
        self.members: dict[str, Member] = {}
        self.taken: list[tuple[int, Instruction]] = []
        self.alerts: list[Alert] = []

    def markets(self) -> list[OperatorMarket]:
        self._check_available()
        return sorted(self.known, key=lambda market: market.symbol)

    def account(self, account: str) -> OperatorAccount | None:
        self._check_available()
        return next((self._with_holder(one) for one in self.held if one.account == account), None)

    def account_of(self, email: str) -> str | None:
        self._check_available()
        member = self.members.get(email.lower())
        return None if member is None else member.account

    def accounts(self, *, offset: int, limit: int) -> Page[OperatorAccount]:
        self._check_available()
        newest = sorted(self.held, key=lambda one: (-one.opened, one.account))
        return Page([self._with_holder(one) for one in newest[offset : offset + limit]], len(newest))

    def applied(self, instruction: str, account: str | None) -> dict[int, Instruction]:
        self._check_available()
        found: dict[int, Instruction] = {}
        for shard, one in self.taken:
            if (one.id, getattr(one, "account", None)) == (instruction, account):
                found.setdefault(shard, one)
        return found

    def set_role(self, email: str, role: str) -> bool:
        self._check_available()
        member = self.members.get(email.lower())
        if member is not None:
            self.members[member.email] = replace(member, role=role)
        return member is not None

    def open_alerts(self, limit: int) -> list[Alert]:
        self._check_available()
        return sorted(self.alerts, key=lambda a: (_WORST_FIRST.index(a.severity), a.since))[:limit]

    def _with_holder(self, one: OperatorAccount) -> OperatorAccount:
        for member in self.members.values():
            if member.account == one.account:
                who = {"email": member.email, "display_name": member.display_name, "role": member.role}
                return replace(one, **who)
        return one

"""Accounts: open, deposit, withdraw."""

from paceline.engine.ledger import post_usd
from paceline.engine.records import NOTHING, Account
from paceline.engine.refusals import Refusal
from paceline.engine.turn import Turn
from paceline.messages.inbound import Deposit, OpenAccount, Withdraw


def open_account(turn: Turn, message: OpenAccount) -> None:
    name = message.account
    turn.state.accounts.add(name, Account(name, 0, 0, 0, NOTHING, NOTHING, False))
    post_usd(turn, name, cash=message.initial_balance, external=-message.initial_balance)
    turn.accept()


def exists_already(_turn: Turn, _message: OpenAccount, _account: Account) -> Refusal | None:
    return "ACCOUNT_EXISTS"


def deposit(turn: Turn, message: Deposit, account: Account) -> Refusal | None:
    post_usd(turn, account.name, cash=message.amount, external=-message.amount)
    turn.accept()
    return None


def withdraw(turn: Turn, message: Withdraw, account: Account) -> Refusal | None:
    if message.amount > account.cash:
        return "INSUFFICIENT_BALANCE"
    post_usd(turn, account.name, cash=-message.amount, external=message.amount)
    turn.accept()
    return None

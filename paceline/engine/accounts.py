"""Accounts: open, deposit, withdraw."""

from paceline.engine.ledger import post_usd
from paceline.engine.records import Account
from paceline.engine.refusals import Refusal
from paceline.engine.turn import Turn
from paceline.messages.inbound import Deposit, OpenAccount, Withdraw


def open_account(turn: Turn, message: OpenAccount) -> Refusal | None:
    name = message.account
    if name in turn.state.accounts:
        return "ACCOUNT_EXISTS"
    turn.state.accounts.add(name, Account(name, 0, 0, 0, {}, {}, halted=False))
    post_usd(turn, name, cash=message.initial_balance, external=-message.initial_balance)
    turn.accept(message)
    return None


def deposit(turn: Turn, message: Deposit) -> Refusal | None:
    if message.account not in turn.state.accounts:
        return "ACCOUNT_NOT_FOUND"
    post_usd(turn, message.account, cash=message.amount, external=-message.amount)
    turn.accept(message)
    return None


def withdraw(turn: Turn, message: Withdraw) -> Refusal | None:
    account = turn.state.accounts.get(message.account)
    if account is None:
        return "ACCOUNT_NOT_FOUND"
    if message.amount > account.cash:
        return "INSUFFICIENT_BALANCE"
    post_usd(turn, message.account, cash=-message.amount, external=message.amount)
    turn.accept(message)
    return None

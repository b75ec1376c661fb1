"""Accounts, duplicates, and what cannot be decoded."""

from tests.support.scenario import Scenario, code, noted, ready

DAY_US = 86_400_000_000


def test_opening_depositing_withdrawing() -> None:
    desk = Scenario()
    response, balance = desk.send("open_account", account="a", initial_balance="0")
    assert response["status"] == "accepted"
    assert (balance["cash"], balance["balances"], balance["locked_balances"]) == ("0", {}, {})
    assert code(desk.send("open_account", account="a", initial_balance="5")) == "ACCOUNT_EXISTS"
    assert desk.send("deposit", account="a", amount="7.5")[1]["cash"] == "7.5"
    assert code(desk.send("withdraw", account="a", amount="7.50000001")) == "INSUFFICIENT_BALANCE"
    assert desk.send("withdraw", account="a", amount="7.5")[1]["cash"] == "0"
    assert code(desk.send("deposit", account="nobody", amount="1")) == "ACCOUNT_NOT_FOUND"
    assert code(desk.send("withdraw", account="nobody", amount="1")) == "ACCOUNT_NOT_FOUND"
    assert desk.engine.ledger()["USD"]["external"] == 0


def test_the_same_id_gets_the_same_answer_whatever_else_the_message_says() -> None:
    desk = ready()
    first = desk.send("create_trade", id="x", account="a", side="long", margin="10", leverage=10)[0]
    before = noted(desk.engine.account_view("a"))
    (again,) = desk.send("withdraw", id="x", account="a", amount="5")
    assert again == first | {"id": again["id"], "time": again["time"], "duplicate": True}
    assert again["id"] != first["id"]
    assert noted(desk.engine.account_view("a")) == before


def test_refusals_are_remembered_too() -> None:
    desk = ready()
    assert code(desk.send("withdraw", id="x", account="a", amount="5000")) == "INSUFFICIENT_BALANCE"
    desk.send("deposit", account="a", amount="5000")
    (again,) = desk.send("withdraw", id="x", account="a", amount="5000")
    assert (again["code"], again["duplicate"]) == ("INSUFFICIENT_BALANCE", True)


def test_an_id_belongs_to_its_account() -> None:
    desk = ready()
    desk.open("b")
    desk.send("deposit", id="x", account="a", amount="1")
    assert desk.send("deposit", id="x", account="b", amount="1")[0]["duplicate"] is False
    desk.open("ab")
    desk.send("deposit", id="bc", account="a", amount="1")
    assert desk.send("deposit", id="c", account="ab", amount="1")[0]["duplicate"] is False


def test_ids_of_an_account_that_did_not_exist_yet_are_not_remembered() -> None:
    desk = Scenario()
    assert code(desk.send("deposit", id="x", account="a", amount="1")) == "ACCOUNT_NOT_FOUND"
    assert code(desk.send("open_account", id="x", account="a", initial_balance="1")) is None
    assert code(desk.send("open_account", id="x", account="a", initial_balance="1")) == "ACCOUNT_EXISTS"
    (again,) = desk.send("deposit", id="x", account="a", amount="1")
    assert (again["code"], again["duplicate"]) == ("ACCOUNT_EXISTS", True)


def test_an_answer_is_kept_for_a_day_of_log_time_from_the_first_answer() -> None:
    desk = ready()
    start_us = desk.now_us + 1_000
    desk.send("deposit", id="x", account="a", amount="1", time=start_us)
    assert (
        desk.send("deposit", id="x", account="a", amount="1", time=start_us + DAY_US)[0]["duplicate"] is True
    )
    renewed = desk.send("deposit", id="x", account="a", amount="1", time=start_us + DAY_US + 1)
    assert renewed[0]["duplicate"] is False
    late = desk.send("deposit", id="x", account="a", amount="1", time=5)
    assert late[0]["duplicate"] is True
    assert late[0]["time"] == start_us + DAY_US + 1


def test_old_answers_are_forgotten() -> None:
    desk = Scenario()
    desk.open()
    for _ in range(300):
        desk.send("deposit", account="a", amount="1")
    kept = b"".join(desk.engine.dump_slices())
    desk.now_us += DAY_US + 1
    for _ in range(100):
        desk.send("deposit", account="a", amount="1")
    after = b"".join(desk.engine.dump_slices())
    assert len(after) < len(kept) / 2
    assert len(desk.engine._state.answers.shelf) == 100


def test_what_cannot_be_decoded_counts_but_moves_no_time() -> None:
    desk = ready()
    time_us, position = desk.engine.log_time, desk.engine.position
    desk.engine.apply_undecodable()
    assert (desk.engine.log_time, desk.engine.position) == (time_us, position + 1)
    assert desk.engine.stats().undecodable == 1


def test_every_other_message_moves_log_time_also_when_dropped() -> None:
    desk = Scenario()
    desk.price("1", "2", symbol="NONE", time=77_000_000)
    assert desk.engine.log_time == 77_000_000
    assert desk.send("deposit", account="a", amount="1", time=5)[0]["time"] == 77_000_000


def test_halting_what_is_not_known_has_no_effect() -> None:
    desk = Scenario()
    desk.send("halt_market", symbol="NONE")
    desk.send("resume_market", symbol="NONE")
    desk.send("halt_account", account="nobody")
    desk.send("resume_account", account="nobody")
    assert (desk.engine.stats().accounts, desk.engine.price_of("NONE")) == (0, None)

"""Accounts, duplicates, and undecodable messages."""

from tests.support.scenario import EngineDriver, fields_of, ready_driver, refusal_code

DAY_US = 86_400_000_000


def test_open_account_deposit_and_withdraw() -> None:
    driver = EngineDriver()
    response, balance = driver.send("open_account", account="a", initial_balance="0")
    assert response["status"] == "accepted"
    assert (balance["cash"], balance["balances"], balance["locked_balances"]) == ("0", {}, {})
    assert refusal_code(driver.send("open_account", account="a", initial_balance="5")) == "ACCOUNT_EXISTS"
    assert driver.send("deposit", account="a", amount="7.5")[1]["cash"] == "7.5"
    assert refusal_code(driver.send("withdraw", account="a", amount="7.50000001")) == "INSUFFICIENT_BALANCE"
    assert driver.send("withdraw", account="a", amount="7.5")[1]["cash"] == "0"
    assert refusal_code(driver.send("deposit", account="unknown", amount="1")) == "ACCOUNT_NOT_FOUND"
    assert refusal_code(driver.send("withdraw", account="unknown", amount="1")) == "ACCOUNT_NOT_FOUND"
    assert driver.engine.ledger()["USD"]["external"] == 0


def test_a_repeated_id_gets_the_first_answer_even_with_other_contents() -> None:
    driver = ready_driver()
    first = driver.send("create_trade", id="x", account="a", side="long", margin="10", leverage=10)[0]
    before = fields_of(driver.engine.account_view("a"))
    (again,) = driver.send("withdraw", id="x", account="a", amount="5")
    assert again == first | {"id": again["id"], "time": again["time"], "duplicate": True}
    assert again["id"] != first["id"]
    assert fields_of(driver.engine.account_view("a")) == before


def test_refusals_are_remembered_too() -> None:
    driver = ready_driver()
    assert refusal_code(driver.send("withdraw", id="x", account="a", amount="5000")) == "INSUFFICIENT_BALANCE"
    driver.send("deposit", account="a", amount="5000")
    (again,) = driver.send("withdraw", id="x", account="a", amount="5000")
    assert (again["code"], again["duplicate"]) == ("INSUFFICIENT_BALANCE", True)


def test_instruction_ids_are_separate_per_account() -> None:
    driver = ready_driver()
    driver.open("b")
    driver.send("deposit", id="x", account="a", amount="1")
    assert driver.send("deposit", id="x", account="b", amount="1")[0]["duplicate"] is False
    driver.open("ab")
    driver.send("deposit", id="bc", account="a", amount="1")
    assert driver.send("deposit", id="c", account="ab", amount="1")[0]["duplicate"] is False


def test_ids_sent_before_the_account_existed_are_not_remembered() -> None:
    driver = EngineDriver()
    assert refusal_code(driver.send("deposit", id="x", account="a", amount="1")) == "ACCOUNT_NOT_FOUND"
    assert refusal_code(driver.send("open_account", id="x", account="a", initial_balance="1")) is None
    assert (
        refusal_code(driver.send("open_account", id="x", account="a", initial_balance="1"))
        == "ACCOUNT_EXISTS"
    )
    (again,) = driver.send("deposit", id="x", account="a", amount="1")
    assert (again["code"], again["duplicate"]) == ("ACCOUNT_EXISTS", True)


def test_an_answer_is_remembered_for_a_day_of_log_time() -> None:
    driver = ready_driver()
    start_us = driver.now_us + 1_000
    driver.send("deposit", id="x", account="a", amount="1", time=start_us)
    assert (
        driver.send("deposit", id="x", account="a", amount="1", time=start_us + DAY_US)[0]["duplicate"]
        is True
    )
    renewed = driver.send("deposit", id="x", account="a", amount="1", time=start_us + DAY_US + 1)
    assert renewed[0]["duplicate"] is False
    late = driver.send("deposit", id="x", account="a", amount="1", time=5)
    assert late[0]["duplicate"] is True
    assert late[0]["time"] == start_us + DAY_US + 1


def test_old_answers_are_forgotten() -> None:
    driver = EngineDriver()
    driver.open()
    for _ in range(300):
        driver.send("deposit", account="a", amount="1")
    kept = b"".join(driver.engine.dump_slices())
    driver.now_us += DAY_US + 1
    for _ in range(100):
        driver.send("deposit", account="a", amount="1")
    after = b"".join(driver.engine.dump_slices())
    assert len(after) < len(kept) / 2
    assert len(driver.engine._state.answers.shelf) == 100


def test_an_undecodable_message_takes_a_position_but_no_time() -> None:
    driver = ready_driver()
    time_us, position = driver.engine.log_time, driver.engine.position
    driver.engine.apply_undecodable()
    assert (driver.engine.log_time, driver.engine.position) == (time_us, position + 1)
    assert driver.engine.stats().undecodable == 1


def test_every_decodable_message_advances_log_time_even_when_dropped() -> None:
    driver = EngineDriver()
    driver.price("1", "2", symbol="NONE", time=77_000_000)
    assert driver.engine.log_time == 77_000_000
    assert driver.send("deposit", account="a", amount="1", time=5)[0]["time"] == 77_000_000


def test_halting_an_unknown_market_or_account_has_no_effect() -> None:
    driver = EngineDriver()
    driver.send("halt_market", symbol="NONE")
    driver.send("resume_market", symbol="NONE")
    driver.send("halt_account", account="unknown")
    driver.send("resume_account", account="unknown")
    assert (driver.engine.stats().accounts, driver.engine.price_of("NONE")) == (0, None)

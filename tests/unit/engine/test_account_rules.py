"""Accounts, duplicates, and what cannot be decoded."""

from tests.support.scenario import EngineDriver, fields_of, ready_driver, refusal_code

DAY_US = 86_400_000_000


def test_opening_depositing_withdrawing() -> None:
    driver = EngineDriver()
    response, balance = driver.send("open_account", account="a", initial_balance="0")
    assert response["status"] == "accepted"
    assert (balance["cash"], balance["balances"], balance["locked_balances"]) == ("0", {}, {})
    assert refusal_code(driver.send("open_account", account="a", initial_balance="5")) == "ACCOUNT_EXISTS"
    assert driver.send("deposit", account="a", amount="7.5")[1]["cash"] == "7.5"
    assert refusal_code(driver.send("withdraw", account="a", amount="7.50000001")) == "INSUFFICIENT_BALANCE"
    assert driver.send("withdraw", account="a", amount="7.5")[1]["cash"] == "0"
    assert refusal_code(driver.send("deposit", account="nobody", amount="1")) == "ACCOUNT_NOT_FOUND"
    assert refusal_code(driver.send("withdraw", account="nobody", amount="1")) == "ACCOUNT_NOT_FOUND"
    assert driver.engine.ledger()["USD"]["external"] == 0


def test_the_same_id_gets_the_same_answer_whatever_else_the_message_says() -> None:
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


def test_an_id_belongs_to_its_account() -> None:
    driver = ready_driver()
    driver.open("b")
    driver.send("deposit", id="x", account="a", amount="1")
    assert driver.send("deposit", id="x", account="b", amount="1")[0]["duplicate"] is False
    driver.open("ab")
    driver.send("deposit", id="bc", account="a", amount="1")
    assert driver.send("deposit", id="c", account="ab", amount="1")[0]["duplicate"] is False


def test_ids_of_an_account_that_did_not_exist_yet_are_not_remembered() -> None:
    driver = EngineDriver()
    assert refusal_code(driver.send("deposit", id="x", account="a", amount="1")) == "ACCOUNT_NOT_FOUND"
    assert refusal_code(driver.send("open_account", id="x", account="a", initial_balance="1")) is None
    assert (
        refusal_code(driver.send("open_account", id="x", account="a", initial_balance="1"))
        == "ACCOUNT_EXISTS"
    )
    (again,) = driver.send("deposit", id="x", account="a", amount="1")
    assert (again["code"], again["duplicate"]) == ("ACCOUNT_EXISTS", True)


def test_an_answer_is_kept_for_a_day_of_log_time_from_the_first_answer() -> None:
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


def test_what_cannot_be_decoded_counts_but_moves_no_time() -> None:
    driver = ready_driver()
    time_us, position = driver.engine.log_time, driver.engine.position
    driver.engine.apply_undecodable()
    assert (driver.engine.log_time, driver.engine.position) == (time_us, position + 1)
    assert driver.engine.stats().undecodable == 1


def test_every_other_message_moves_log_time_also_when_dropped() -> None:
    driver = EngineDriver()
    driver.price("1", "2", symbol="NONE", time=77_000_000)
    assert driver.engine.log_time == 77_000_000
    assert driver.send("deposit", account="a", amount="1", time=5)[0]["time"] == 77_000_000


def test_halting_what_is_not_known_has_no_effect() -> None:
    driver = EngineDriver()
    driver.send("halt_market", symbol="NONE")
    driver.send("resume_market", symbol="NONE")
    driver.send("halt_account", account="nobody")
    driver.send("resume_account", account="nobody")
    assert (driver.engine.stats().accounts, driver.engine.price_of("NONE")) == (0, None)

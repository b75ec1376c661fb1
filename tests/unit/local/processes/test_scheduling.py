"""Scheduling priority: services on the path of an order run first where the system allows it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from paceline.local import doctor
from paceline.local.doctor import Level
from paceline.local.processes.process import spawn
from paceline.local.processes.scheduling import ORDER_PATH, real_time_allowed, set_scheduling
from paceline.local.stack import services as stack
from paceline.settings import Settings, load

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems schedule by other rules")

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({}, tmp_path)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Records scheduling requests on a system that refuses real-time priorities."""
    found: list[tuple[int, int]] = []

    def refuse(_: int, policy: int, parameter: os.sched_param) -> None:
        found.append((policy, parameter.sched_priority))
        if policy == os.SCHED_RR:
            raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    return found


@pytest.mark.parametrize("first", [True, False])
def test_a_child_process_gets_its_priority(tmp_path: Path, first: bool) -> None:
    child = spawn(SLEEPER, cwd=tmp_path, output=subprocess.DEVNULL, first=first)
    try:
        expected = os.SCHED_RR if first and real_time_allowed() else os.SCHED_BATCH
        assert os.sched_getscheduler(child.pid) == expected
    finally:
        child.kill()
        child.wait()


def test_without_permission_batch_scheduling_is_used(asked: list[tuple[int, int]]) -> None:
    set_scheduling(first=True)
    assert asked == [(os.SCHED_RR, 1), (os.SCHED_BATCH, 0)]


def test_a_system_that_forbids_both_does_not_prevent_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    set_scheduling(first=True)
    assert not real_time_allowed()


def test_checking_the_permission_changes_nothing() -> None:
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    real_time_allowed()
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before


def test_the_order_path_has_priority_and_the_feed_has_not(settings: Settings) -> None:
    options = stack.UpOptions()
    assert {one.name for one in stack.services(settings, options) if one.first} == ORDER_PATH
    assert "feed" not in ORDER_PATH
    off = replace(settings, realtime="off")
    assert not any(one.first for one in stack.services(off, options))


@pytest.mark.parametrize(
    ("allowed", "realtime", "said"),
    [
        (True, "auto", "has real-time priority"),
        (False, "auto", "CAP_SYS_NICE"),
        (True, "off", "PACELINE_REALTIME is `off`"),
    ],
)
def test_doctor_reports_the_scheduling(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, allowed: bool, realtime: str, said: str
) -> None:
    monkeypatch.setattr(doctor, "real_time_allowed", lambda: allowed)
    finding = doctor.order_path(replace(settings, realtime=realtime))
    assert finding.level is Level.OK
    assert said in finding.message

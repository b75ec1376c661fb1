"""The plan of a drill depends only on its arguments and its seed."""

from collections import Counter
from itertools import islice

import pytest

from paceline.core.errors import ValidationError
from paceline.drill.schedule import SERVICES, endless, parse_kills, planned


def test_a_plan_has_the_requested_kills_plus_pauses() -> None:
    acts = list(planned(5, {"engine": 8, "kafka": 1}, pauses_per_kill=0.25))
    counted = Counter((act.service, act.kind) for act in acts)
    wanted = {("engine", "kill"): 8, ("engine", "pause"): 2, ("kafka", "kill"): 1, ("kafka", "pause"): 1}
    assert counted == wanted
    assert [act.number for act in acts] == list(range(1, 13))
    assert all((1 <= act.pause_s <= 8) == (act.kind == "pause") for act in acts)


def test_the_same_seed_gives_the_same_plan() -> None:
    kills = dict.fromkeys(SERVICES, 3)
    assert list(planned(1, kills, 0.5)) == list(planned(1, kills, 0.5))
    assert list(planned(1, kills, 0.5)) != list(planned(2, kills, 0.5))
    assert list(islice(endless(1, 0.5), 50)) == list(islice(endless(1, 0.5), 50))


def test_an_endless_plan_hits_every_service_in_each_round() -> None:
    acts = list(islice(endless(3, 0.5), 2 * (len(SERVICES) + 1)))
    assert Counter(act.service for act in acts) == {name: 4 if name == "engine" else 2 for name in SERVICES}


def test_kill_counts_are_parsed() -> None:
    assert parse_kills("engine=200, writer=50") == {"engine": 200, "writer": 50}


@pytest.mark.parametrize("text", ["", "engine", "engine=", "engine=-1", "engin=2", "engine=1,engine=2"])
def test_invalid_kill_counts_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is not SERVICE=COUNT"):
        parse_kills(text)

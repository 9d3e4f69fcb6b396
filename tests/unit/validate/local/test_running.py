"""What takes turns within a repetition, and which answers have to be equal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")

from edgesim.measure.real.rests import RestLosses
from edgesim.validate.local.gauges import Company
from edgesim.validate.local.running import Plan, _Repetition
from edgesim.validate.local.settings import Setting

WHOLE = [[7, 8, 9], [4, 5, 6]]  # the answers to two prompts
SINGLE, LONE = Setting(kind="single"), Setting(kind="pipeline", n_devices=2)
CROWD, PAIR = Setting(kind="pipeline", n_devices=2, n_samples=2), Setting(kind="tensor", n_devices=2)


class Gauges:
    """Notes which profiles are measured."""

    def __init__(self, called: list[Any]) -> None:
        self._called = called

    def begin(self, company: Company, *, fastest: int, seed: int) -> None:
        self._called.append(("begin", company))

    def round(self, company: Company, *, rest_s: float = 0.0) -> None:
        self._called.append(("round", company, rest_s))

    def prompt(self, company: Company) -> None:
        self._called.append(("prompt", company))

    def profiles(self, company: Company) -> list[str]:
        self._called.append(("profiles", company))
        return [f"{company} {number}" for number in range(1 if company is Company.WHOLE else 2)]


class AtWork:
    """Notes what it is asked for, and answers runs."""

    def __init__(self) -> None:
        self.called: list[Any] = []
        self.gauges = Gauges(self.called)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self.called.append(name) or "measured"

    def run(
        self, setting: Setting, *, n_out: int | None = None, measuring: bool = False
    ) -> dict[str, list[list[int]]]:
        self.called.append((setting, n_out, measuring))
        return {"ids": [ids[:n_out] for ids in WHOLE[: setting.n_samples]]}


def repetition(at_work: AtWork, n_prompts: int, *wanted: Setting) -> _Repetition:
    plan = Plan(n_runs=1, n_prompts=n_prompts)
    return _Repetition(at_work, wanted or (SINGLE, LONE, CROWD, PAIR), plan, number=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("n_prompts", [0, 2])
def test_each_run_takes_turns_with_the_measurements_that_predict_it(n_prompts: int) -> None:
    at_work = AtWork()
    taken: Any = repetition(at_work, n_prompts)

    def runs(setting: Setting, *between: Any) -> list[Any]:
        further = [(setting, 2, False), *between] * n_prompts
        unused = [(setting, 2, False)] if setting.kind == "pipeline" else []
        return [*unused, (setting, None, setting == SINGLE), *between, *further]

    whole, alone, at_once = Company.WHOLE, Company.ALONE, Company.AT_ONCE
    assert [
        each
        for each in at_work.called
        if not isinstance(each, str) or each in ("communicate_once", "sum_once")
    ] == [
        ("begin", whole),
        ("begin", alone),
        "communicate_once",
        *(runs(SINGLE, ("prompt", whole)) * 2),
        ("round", alone, 48e-3),
        *runs(LONE),
        ("round", alone, 48e-3),
        ("profiles", whole),
        ("profiles", alone),
        ("begin", at_once),
        ("begin", alone),
        "communicate_once",
        ("round", at_once, 0.0),
        ("round", alone, 0.0),
        *runs(CROWD),
        "sum_once",
        *runs(PAIR),
        "sum_once",
        ("profiles", at_once),
        ("profiles", alone),
    ]
    assert {setting: len(each) for setting, each in taken.prompts.items()} == {
        SINGLE: 2 * n_prompts, LONE: n_prompts, CROWD: n_prompts, PAIR: n_prompts
    }  # fmt: skip
    stages = ["alone 0", "alone 1"]
    assert taken.all_profiles() == {
        "whole": ["whole 0"],
        "rested": stages,
        "awake": stages,
        "at once": ["at once 0", "at once 1"],
    }


def test_a_host_with_one_core_measures_the_single_device_alone() -> None:
    at_work = AtWork()
    taken: Any = repetition(at_work, 0, SINGLE)

    assert taken.charged(SINGLE) == taken.all_profiles()["whole"] == ["whole 0"]
    assert [each for each in at_work.called if each[0] == "begin"] == [("begin", Company.WHOLE)]


def test_each_device_is_charged_the_profile_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edgesim.validate.local.running.with_loop_steps", lambda profile, _: (profile, "loop")
    )
    taken: Any = repetition(AtWork(), 0)
    taken.rested = ["rested 0", "rested 1", "rested 2"]
    taken.awake = ["awake 0", "awake 1", "awake 2"]

    def numbered(what: str, *numbers: int) -> list[tuple[str, str]]:
        return [(f"{what} {number}", "loop") for number in numbers]

    long, crowd = replace(LONE, n_devices=3), replace(CROWD, n_devices=3)
    assert taken.charged(SINGLE) == ["whole 0"]
    assert taken.charged(LONE) == numbered("rested", 0, 1)
    assert taken.charged(long) == numbered("rested", 0, 1, 2)
    assert taken.charged(CROWD) == taken.charged(PAIR) == numbered("at once", 0, 1)
    # Two processes are measured at once: a third stage is charged what the second one is, at both ends.
    assert taken.charged(crowd) == numbered("at once", 0, 1, 1)
    assert taken.alone(CROWD) == numbered("awake", 0, 1)
    assert taken.alone(crowd) == numbered("awake", 0, 1, 1)
    assert taken.alone(LONE) is taken.alone(PAIR) is taken.alone(SINGLE) is None


def test_what_a_prompt_loses_by_sleeping_is_in_the_profiles_of_rings_with_one_sample() -> None:
    taken: Any = repetition(AtWork(), 0)
    losses = RestLosses(
        stages_s=((1.0,) * 5,) * 2, prompts_s=(4.0, 5.0), next_prompts_s=(1.0, 2.0), heads_s=(6.0, 7.0)
    )
    taken.losses = losses

    assert taken.lost(LONE) == replace(losses, prompts_s=(0.0, 0.0), next_prompts_s=(0.0, 0.0))
    assert taken.lost(CROWD) is taken.lost(PAIR) is losses
    taken.losses = None
    assert taken.lost(LONE) is None


def test_all_answers_have_to_be_equal_and_those_of_further_runs_their_beginnings() -> None:
    taken = repetition(AtWork(), 1)
    assert taken.has_ids(WHOLE[0])
    assert not taken.has_ids([7, 8, 0])

    def differs(runs: list[dict[str, Any]], ids: list[list[int]], key: str = "ids") -> bool:
        before = runs[-1]
        runs[-1] = {**before, key: ids}
        found = taken.has_ids(WHOLE[0])
        runs[-1] = before
        return not found

    assert differs(taken.runs[PAIR], [[7, 8]])  # a token is missing
    assert differs(taken.runs[PAIR], [[[7, 8, 0]]], "other_ids")  # of the second member
    assert differs(taken.runs[CROWD], [WHOLE[0], [4, 4, 6]])
    assert differs(taken.prompts[CROWD], [[7, 8], [4, 4]])
    assert differs(taken.prompts[SINGLE], [[7]])
    assert taken.has_ids(WHOLE[0])

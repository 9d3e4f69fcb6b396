"""Which process is asked for what while real runs and measurements take turns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from edgesim.validate.local.gauges import Company
from edgesim.validate.local.real_runs import AtWork
from edgesim.validate.local.settings import Extent, Setting
from edgesim.validate.local.shapes import shape_named


class Crew:
    """Workers that do nothing but note their orders, batch by batch."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, dict[str, Any]]]] = []

    def hire(self, name: str, core: int) -> str:
        return name

    def ask(self, orders: Sequence[tuple[str, dict[str, Any]]], *, timeout_s: float) -> list[dict[str, Any]]:
        assert len({worker for worker, _ in orders}) == len(orders)  # one order at a time each
        self.batches.append(list(orders))
        return [{"port": 1} for _ in orders]

    def asked(self, do: str) -> list[list[tuple[str, str]]]:
        """The batches of one kind of order: worker and name."""
        return [
            [(worker, order.get("as", order.get("gauge"))) for worker, order in batch]
            for batch in self.batches
            if batch[0][1]["do"] == do
        ]


@pytest.fixture
def at_work(tmp_path: Path) -> AtWork:
    return AtWork(Crew(), shape_named("tiny-gpt2"), Extent(), [0, 1], tmp_path)  # type: ignore[arg-type]


def crew_of(at_work: AtWork) -> Crew:
    crew: Any = at_work._crew
    return crew


@pytest.mark.parametrize(
    ("company", "batches"),
    [
        (Company.WHOLE, [["stage 0"]]),
        (Company.ALONE, [["stage 0"], ["stage 1"]]),
        (Company.AT_ONCE, [["stage 0", "stage 1"]]),
    ],
)
def test_profiles_are_measured_in_one_process_or_one_after_the_other_or_at_once(
    company: Company, batches: list[list[str]], at_work: AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgesim.validate.local.gauges.Profile.load", lambda file: file)
    gauges, crew = at_work.gauges, crew_of(at_work)
    gauges.begin(company, fastest=1, seed=0)
    gauges.round(company, rest_s=0.5)
    gauges.prompt(company)
    found: list[Any] = list(gauges.profiles(company))

    for do in ("gauge", "round", "prompt", "profile"):
        assert crew.asked(do) == [[(worker, company.value) for worker in batch] for batch in batches]
    orders = [(worker, order) for batch in crew.batches for worker, order in batch]
    assert [str(file) for file in found] == [order["file"] for _, order in orders if order["do"] == "profile"]
    assert len(set(found)) == sum(map(len, batches))
    rests_s = [(order["do"], order["rest_s"]) for _, order in orders if "rest_s" in order]
    assert set(rests_s) == {("round", 0.5)}
    grids = [order["grid"] for _, order in orders if order["do"] == "gauge"]
    assert {(*grid["prompts"], *grid["contexts"], *grid["held_out_contexts"]) for grid in grids} == {
        (32, 32, 44, 38)
    }
    # Of three blocks the first stage has two.
    most = None if company is Company.WHOLE else 2
    assert {order.get("most_blocks") for _, order in orders if order["do"] == "gauge"} == {most}


class SumContext:
    """Notes its turns, and draws sleeps that tell whose they are."""

    def __init__(self, number: int, turns: list[Any]) -> None:
        self._number, self._turns = number, turns

    def begin(self) -> None:
        self._turns.append("begin")

    def turn(self, n_out: int) -> None:
        self._turns.append(self._number)

    def rests_s(self) -> list[float]:
        return [float(self._number)]


def test_both_models_that_sum_are_as_often_before_as_after_a_run_and_in_both_orders_there(
    at_work: AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[Any] = []
    slept: list[float] = []
    at_work._sum_contexts = [SumContext(number, turns) for number in (0, 1)]  # type: ignore[misc]
    monkeypatch.setattr(at_work, "_shards_once", lambda rests_s: slept.extend(rests_s))
    at_work.begin_communication()
    for _ in range(8):
        at_work.sum_once()
    at_work.begin_communication()
    at_work.sum_once()

    begun, first, again, after = turns[:2], turns[2:10], turns[10:12], turns[12:]
    assert begun == again == ["begin"] * 2
    assert slept == [*first, *after]
    assert after == first[:1]
    for number in (0, 1):
        at = [place for place, each in enumerate(first) if each == number]
        # Every other turn of a context begins with sums: on each side one that does and one that does not.
        assert {(place % 2, turn % 2) for turn, place in enumerate(at)} == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize(("n_out", "expected"), [(None, Extent().n_out), (2, 2)])
def test_a_run_is_as_long_as_asked(at_work: AtWork, n_out: int | None, expected: int) -> None:
    at_work.run(Setting(kind="single"), n_out=n_out)

    assert [order["n_out"] for _, order in crew_of(at_work).batches[-1]] == [expected]

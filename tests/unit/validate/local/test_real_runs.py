"""Which process is asked for what while real runs and measurements take turns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

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


def test_two_processes_are_measured_at_once_and_then_one_of_them_while_the_other_is_idle(
    at_work: AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgesim.validate.local.real_runs.Profile.load", lambda file: file)
    at_work.begin_profiles(2, fastest=1, seed=0)
    at_work.measure_once()
    found: list[Any] = list(at_work.profiles())

    both = [("stage 0", "gauge"), ("stage 1", "gauge")]
    for do in ("gauge", "round", "profile"):
        assert crew_of(at_work).asked(do) == [both, [("stage 0", "gauge alone")]]
    orders = [order for batch in crew_of(at_work).batches for _, order in batch if order["do"] == "profile"]
    files = {order["gauge"]: order["file"] for order in orders}
    assert str(found[-1]) == files["gauge alone"]
    assert len(set(found)) == 3


def test_a_single_process_is_measured_alone_between_its_tokens_and_behind_its_runs(
    at_work: AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgesim.validate.local.real_runs.Profile.load", lambda file: file)
    at_work.begin_profiles(1, fastest=1, seed=0)

    at_work.measure_prompt()
    assert len(at_work.profiles()) == 1
    assert crew_of(at_work).asked("gauge") == crew_of(at_work).asked("prompt") == [[("stage 0", "gauge")]]
    assert crew_of(at_work).asked("round") == []


@pytest.mark.parametrize(("n_out", "expected"), [(None, Extent().n_out), (2, 2)])
def test_a_run_is_as_long_as_asked(at_work: AtWork, n_out: int | None, expected: int) -> None:
    at_work.run(Setting(kind="single"), n_out=n_out)

    assert [order["n_out"] for _, order in crew_of(at_work).batches[-1]] == [expected]

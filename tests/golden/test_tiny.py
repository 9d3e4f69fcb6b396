"""The tiny fixture in traces/, simulated anew: if numbers move, the first span that differs is shown.

Moved on purpose? Write the fixture again as traces/README.md says, and tell CHANGELOG.md under
"Results changed" which numbers moved, by how much and why.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edgesim.runner import prepare, run
from edgesim.scenario.load import load
from edgesim.trace.reader import Trace
from edgesim.trace.schema import TABLES

TINY = Path(__file__).parents[2] / "traces" / "tiny"

# Transcendental functions may differ in their last bit between machines; sums of a few hundred of them stay
# within 1e-12, and no change of the model hides there.
RELATIVE = 1e-12


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    scenario = load("first_steps", ["profile=analytic", "horizon=5 s", "replications=1"])
    return run(prepare(scenario), tmp_path_factory.mktemp("again"))


def first_difference(golden: pd.DataFrame, now: pd.DataFrame) -> str | None:
    """The first row that differs, as both tables have it."""
    differs = np.zeros(max(len(golden), len(now)), dtype=bool)
    differs[min(len(golden), len(now)) :] = True
    shared = range(min(len(golden), len(now)))
    for column in golden.columns:
        a, b = golden[column].to_numpy()[shared], now[column].to_numpy()[shared]
        if golden[column].dtype.kind == "f":
            same = np.isclose(a, b, rtol=RELATIVE, atol=0.0, equal_nan=True)
        else:
            same = (a == b) | (pd.isna(a) & pd.isna(b))
        differs[: len(shared)] |= ~same
    if not differs.any():
        return None
    row = int(differs.argmax())
    told = [frame.iloc[row].to_dict() if row < len(frame) else "(missing)" for frame in (golden, now)]
    return f"row {row}\n  golden: {told[0]}\n  now:    {told[1]}"


@pytest.mark.parametrize("strategy", ["local", "offload", "pipeline"])
@pytest.mark.parametrize("table", list(TABLES))
def test_the_fixture_is_reproduced(strategy: str, table: str, again: Trace) -> None:
    golden = getattr(Trace(TINY), table)(strategy, 0)
    assert len(golden) > 0
    difference = first_difference(golden, getattr(again, table)(strategy, 0))
    assert difference is None, f"{table} of {strategy}: {difference}"


def test_the_fixture_is_a_lawful_trace() -> None:
    assert Trace(TINY).is_complete
    assert Trace(TINY).check() == []


def test_a_moved_number_is_shown(again: Trace) -> None:
    golden = Trace(TINY).spans("local", 0)
    moved = golden.copy()
    moved.loc[3, "ended_at_s"] *= 1 + 1e-9
    assert "row 3" in str(first_difference(golden, moved))
    assert "(missing)" in str(first_difference(golden, golden.iloc[:-1]))

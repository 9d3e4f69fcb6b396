"""The front page: every family on one street, and the numbers whose change changes the winner."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgesim.report.comparison import comparison
from edgesim.scenario.load import load
from edgesim.trace.reader import Trace

Simulate = Callable[..., Trace]

SHORT = ("profile=reference", "replications=1")


def e2e_mean_s(trace: Trace) -> dict[str, float]:
    return {row.strategy: row.estimates["e2e_mean_s"].mean for row in comparison(trace).rows}


def test_every_family_stands_on_the_street() -> None:
    used = {entry.use for entry in load("smart_city").strategies}
    assert used >= {"local", "offload", "pipeline", "tensor_parallel", "early_exit", "rl_split"}


@pytest.mark.slow
def test_every_family_answers_with_answers_that_were_measured(simulate: Simulate) -> None:
    trace = simulate("smart_city", *SHORT, "horizon='30 s'", "warmup='5 s'")
    assert trace.check() == []
    rows = {row.strategy: row.estimates for row in comparison(trace).rows}
    assert len(rows) == 7
    assert all(each["accuracy"] is not None for each in rows.values())
    exact = rows["local"]["accuracy"].mean
    assert rows["pipeline"]["accuracy"].mean == pytest.approx(exact, rel=1e-12)
    assert rows["early_exit"]["perplexity"].mean > rows["local"]["perplexity"].mean
    # What the asker's battery pays: all of it, a part, and next to nothing.
    paid_j = {name: each["asker_j_per_token"].mean for name, each in rows.items()}
    assert paid_j["local"] > paid_j["rl_split"] > 10 * paid_j["offload-edge"]


@pytest.mark.slow
def test_short_answers_change_the_winner(simulate: Simulate) -> None:
    only = ("offload-edge", "early_exit")
    long = ("profile=reference", "replications=1", "horizon='5 min'")  # what one request waits for varies
    as_shipped = e2e_mean_s(simulate("smart_city", *long, only=only))
    short = e2e_mean_s(simulate("smart_city", *long, "workload.output_tokens=4", only=only))
    assert as_shipped["early_exit"] < as_shipped["offload-edge"]
    assert short["offload-edge"] < short["early_exit"]

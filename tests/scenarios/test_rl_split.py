"""Splitting over a lossy uplink: shortened, what the page says of who does what and what it costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from edgesim import runner
from edgesim.engine.cluster import Cluster
from edgesim.planning.splitting.utility import Utility
from edgesim.scenario.load import load
from edgesim.strategies.rl_split import RlSplit
from edgesim.trace.reader import Trace

SHORT = ("horizon=40 s", "warmup=5 s", "replications=1")
SPLITS = (1, 4, 8, 12, 16, 20, 22)


def cuts(trace: Trace, label: str) -> pd.Series:
    """Blocks on the device, of each request's first pass."""
    spans = trace.spans(label, 0)
    here = spans[
        (spans["kind"] == "compute") & spans["device"].str.startswith("phone") & (spans["token"] == 0)
    ]
    last = here["via"].str.extract(r"(?:(\d+)-)?(\d+)(?:\+head)?$")[1].astype(int)
    return last + 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rl_split", "rl_split_mobile"])
def test_fixed_cuts_stay_and_at_the_rim_the_oracle_is_worth_most(simulate, name: str) -> None:
    only = ("oracle", "random", "fixed-1", "fixed-8", "fixed-22")
    trace = simulate(name, *SHORT, only=only)
    assert trace.check() == []
    for split in (1, 8, 22):
        assert set(cuts(trace, f"fixed-{split}")) == {split}
    assert set(cuts(trace, "random")) <= set(SPLITS)
    assert len(set(cuts(trace, "random"))) == len(SPLITS)
    # All on the phone sends no state, and loses nothing; the others lose some.
    spans = trace.spans("fixed-22", 0)
    assert not (spans["kind"] == "send").any()
    weights = Utility(quality=1, latency_per_s=0.2, energy_per_j=0.02, failure=3)
    worth, nll = {}, {}
    for label in only:
        requests = trace.requests(label, 0)
        requests = requests[requests["arrived_at_s"] >= 5.0]
        worth[label] = float(np.mean(weights.of_requests(requests)))
        nll[label] = float(requests["nll"].mean())
    if name == "rl_split_mobile":
        return  # few losses, and one short replication tells nothing of who is best
    assert nll["fixed-22"] < min(nll["fixed-1"], nll["fixed-8"])
    assert worth["oracle"] == max(worth.values())


@pytest.mark.parametrize("name", ["rl_split", "rl_split_mobile"])
def test_training_is_over_the_same_cuts_whatever_the_rule(name: str) -> None:
    prepared = runner.prepare(load(name), only=("oracle", "greedy"))
    lessons = [runner.lesson(prepared, label) for label in ("oracle", "greedy")]
    assert [lesson.training.splits for lesson in lessons] == [SPLITS] * 2
    assert lessons[0].digest == lessons[1].digest  # the same decision, the same policy
    utility = lessons[0].training.utility
    assert (utility.quality, utility.latency_per_s, utility.energy_per_j) == (1.0, 0.2, 0.02)
    assert lessons[0].prepared.scenario.seed != prepared.scenario.seed  # not what it is judged on


@pytest.mark.parametrize("moving", ["recompute", "transfer"])
def test_what_all_blocks_compute_anew_on_the_phone_is_whole(moving: str, tmp_path, monkeypatch) -> None:
    """Cut 8 for four tokens, then 22: caches that are sent go on missing what was lost, new ones do not."""
    levels: dict[tuple[int, int], float] = {}
    impair = Cluster.impair

    def noted(self, request, kind, level, *, block=None, token=None):
        levels[request.id, token.index] = level
        impair(self, request, kind, level, block=block, token=token)

    monkeypatch.setattr(Cluster, "impair", noted)
    monkeypatch.setattr(
        RlSplit, "_by_rule", lambda self, at, run: SPLITS.index(22 if at.reach.n_context else 8)
    )
    more = ("strategies.random.decide=4", f"strategies.random.moving={moving}")
    scenario = load("rl_split", [*SHORT, "topology.links[0].csi.delay='800 ms'", *more])
    runner.run(runner.prepare(scenario, only=("random",)), tmp_path / "trace")
    assert any(level > 0 for (_, token), level in levels.items() if token < 4)
    assert any(level > 0 for (_, token), level in levels.items() if token >= 4) is (moving == "transfer")

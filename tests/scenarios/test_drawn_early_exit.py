"""Early exit under what may come together: drawn scenarios obey the laws, and answers are those recorded.

Radio links, batteries that run empty, users and sessions that wait for answers, failing devices and links
with and without retries, deadlines, several replications, one token and many, each way to fill caches. Seeds
are some of several hundred that were run once.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from exit_scenarios import drawn_scenario

from edgesim import runner
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.runner import Prepared
from edgesim.scenario.load import load
from edgesim.strategies.early_exit import EarlyExit
from edgesim.strategies.early_exit.placement import Staged
from edgesim.trace.reader import Trace

SEEDS = (3, 7, 8, 12, 15, 23, 36, 37)


@pytest.mark.parametrize("seed", SEEDS)
def test_drawn_scenarios_obey_the_laws(seed: int, tmp_path: Path) -> None:
    file = tmp_path / "drawn.yaml"
    file.write_text(drawn_scenario(seed))
    prepared = runner.prepare(load(str(file), []))
    trace = runner.run(prepared, tmp_path / "trace")
    assert trace.check() == []
    for label in prepared.placements:
        check_answers(prepared, trace, label)


def check_answers(prepared: Prepared, trace: Trace, label: str) -> int:
    """Hold the exits and answers of completed requests to the records; how many could be.

    Those of thresholds that move during a run, or follow the channel, are not known beforehand.
    """
    strategy, placement = prepared.strategies[label], prepared.placements[label]
    assert isinstance(strategy, EarlyExit)
    assert isinstance(placement, Staged)
    quality = prepared.scenario.quality
    records = prepared.quality.exits_of(12)
    is_long = placement.generation is not None
    moves = strategy.offloading == "dto-ee" and strategy.thresholds in ("auto", "joint") and not is_long
    if records is None or quality is None or moves or strategy.exit_rule == "channel-aware":
        return 0
    paths = prepared.quality.paths_of(12)
    if quality.tune_on == "first-half":
        records, paths = records.judged(), None if paths is None else paths.judged()
    at = dict(zip((part.last for part in placement.layout.parts), placement.thresholds, strict=False))
    asked = trace.requests(label, 0)
    done = asked[asked["outcome"] == "completed"]
    for request in done.itertuples():
        n_tokens = request.n_output_tokens
        rows = [(request.sample + token) % records.n_tokens for token in range(n_tokens)]
        left = [_exit(records, row, at, strategy.exit_rule) for row in rows]
        if n_tokens > 1 and strategy.caches == "same-path":
            left = left[:1] * n_tokens
        right = [
            bool(records.is_correct[row, records.blocks.index(block)])
            for row, block in zip(rows, left, strict=True)
        ]
        if n_tokens > 1 and strategy.caches == "propagate" and is_long:
            assert paths is not None
            assert placement.rule is not None
            told = paths.path(placement.rule).request(request.sample, n_tokens)
            left, right = [each.block for each in told], [each.is_correct for each in told]
        assert request.correct == pytest.approx(sum(right) / n_tokens)
        mean_block = sum(left) / n_tokens
        if math.isnan(request.mean_exit_block):
            assert mean_block == 12
        else:
            assert request.mean_exit_block == pytest.approx(mean_block)
    return len(done)


def _exit(records: ExitRecords, row: int, at: dict[int, float | None], kind: str) -> int:
    """The first block with an exit whose threshold the token meets."""
    for column, block in enumerate(records.blocks[:-1]):
        threshold = at.get(block)
        if threshold is None:
            continue
        if kind == "entropy":
            assert records.entropy is not None
            if records.entropy[row, column] <= threshold:
                return block
        elif records.confidence[row, column] >= threshold:
            return block
    return records.blocks[-1]


def test_drawn_scenarios_differ() -> None:
    """The selection has what it says it has."""
    text = "\n".join(map(drawn_scenario, SEEDS))
    wanted = ["wifi6", "nr-n", "battery", "users", "sessions", "mtbf", "down:", "retry", "drop_late"]
    wanted += [
        "replications",
        "propagate",
        "same-path",
        "recompute",
        "output_tokens: 16",
        "service: exponential",
    ]
    wanted += ["reach: routes", "jsed", "backpressure", "dto-ee", "cuts", "schedule"]
    assert [word for word in wanted if word not in text] == []

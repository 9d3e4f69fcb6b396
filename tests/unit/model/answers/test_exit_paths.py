"""Paths through exits: each way of filling caches against a loop over requests, files, and the grid."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.model.answers.exit_paths import CacheFill, ExitPath, path_in_records
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.propagated_paths import ExitOutputs, PropagatedPaths, exit_path

BLOCKS = (2, 4, 6, 8)
N = 600
RULE = ExitRule((0.5, 0.4, 0.6))


@pytest.fixture(scope="module")
def records() -> ExitRecords:
    draws = np.random.default_rng(3)
    return ExitRecords(
        blocks=BLOCKS,
        confidence=draws.uniform(size=(N, 4)),
        is_correct=draws.uniform(size=(N, 4)) < 0.4,
        entropy=draws.exponential(size=(N, 4)),
        nll=draws.exponential(size=(N, 4)),
        provenance={"model_sha256": "m", "text_sha256": "t"},
    )


@pytest.fixture(scope="module")
def propagated() -> PropagatedPaths:
    draws = np.random.default_rng(4)

    def said() -> ExitOutputs:
        return ExitOutputs(
            exits=draws.integers(4, size=N),
            confidence=draws.uniform(size=N),
            nll=draws.exponential(size=N),
            is_correct=draws.uniform(size=N) < 0.4,
        )

    rules = (RULE, ExitRule((0.3, 2.0, 0.3)), ExitRule((1.0, 1.0, -1.0), "entropy"))
    return PropagatedPaths(
        BLOCKS, {rule: said() for rule in rules}, {"model_sha256": "m", "text_sha256": "t"}
    )


def leaves_at(records: ExitRecords, row: int) -> int:
    for column, threshold in enumerate(RULE.thresholds):
        if records.confidence[row, column] >= threshold:
            return column
    return len(BLOCKS) - 1


@pytest.mark.parametrize("sample", [0, 17, N - 3, 5 * N + 17])
def test_a_request_is_answered_as_a_loop_over_its_tokens_answers_it(
    records: ExitRecords, sample: int
) -> None:
    n_tokens = 8
    rows = [(sample + token) % N for token in range(n_tokens)]
    own = [leaves_at(records, row) for row in rows]
    for fill, columns in ((CacheFill.RECOMPUTE, own), (CacheFill.SAME_PATH, own[:1] * n_tokens)):
        told = path_in_records(fill, RULE, records).request(sample, n_tokens)
        assert [left.block for left in told] == [BLOCKS[column] for column in columns]
        assert [left.nll for left in told] == [records.nll[r, c] for r, c in zip(rows, columns, strict=True)]  # type: ignore[index]
        assert [left.is_correct for left in told] == [
            records.is_correct[r, c] for r, c in zip(rows, columns, strict=True)
        ]


@pytest.mark.parametrize("fill", [CacheFill.RECOMPUTE, CacheFill.SAME_PATH])
@pytest.mark.parametrize("n_tokens", [1, 7, 64])
def test_means_are_those_of_all_requests(records: ExitRecords, fill: CacheFill, n_tokens: int) -> None:
    path = path_in_records(fill, RULE, records)
    told = [left for sample in range(N) for left in path.request(sample, n_tokens)]
    means = path.answers(n_tokens)
    assert means.nll == pytest.approx(np.mean([left.nll for left in told]), rel=1e-12)
    assert means.accuracy == pytest.approx(np.mean([left.is_correct for left in told]), rel=1e-12)
    assert path.mean_block() == pytest.approx(np.mean([left.block for left in told]), rel=1e-12)
    assert path.shares().sum() == pytest.approx(1.0)


def test_recomputing_is_what_exit_records_say_at_thresholds(records: ExitRecords) -> None:
    path = path_in_records(CacheFill.RECOMPUTE, RULE, records)
    assert path.answers() == records.answers(RULE.thresholds)
    assert path.shares().tolist() == records.shares(RULE.thresholds).tolist()
    assert path.mean_block() == records.mean_block(RULE.thresholds)


def test_propagated_paths_hold_at_measured_rules_alone(propagated: PropagatedPaths) -> None:
    path = propagated.path(RULE)
    said = propagated.said[RULE]
    left = path.at(N - 1, 3)
    assert left == (BLOCKS[said.exits[2]], said.is_correct[2], said.nll[2])
    assert path.answers().nll == pytest.approx(said.nll.mean())
    with pytest.raises(
        InputError, match=r"confidence \(0.45, 0.4, 0.6\).*nearest.*confidence \(0.5, 0.4, 0.6\)"
    ):
        propagated.path(ExitRule((0.45, 0.4, 0.6)))
    with pytest.raises(InputError, match=r"nearest.*entropy \(1, 1, never\)"):
        propagated.path(ExitRule((0.9, 1.0, 0.1), "entropy"))
    assert propagated.nearest(ExitRule((0.3, 0.9, 0.3))) == ExitRule((0.3, math.inf, 0.3))
    without = PropagatedPaths(BLOCKS, {RULE: said})
    with pytest.raises(InputError, match="none of the 1 measured rules is of that kind"):
        without.path(ExitRule((1.0, 1.0, 1.0), "entropy"))


def test_propagated_paths_are_read_as_they_were_written(propagated: PropagatedPaths, tmp_path: Path) -> None:
    file = tmp_path / "paths.parquet"
    propagated.save(file)
    again = PropagatedPaths.load(file)
    assert again.rules == propagated.rules
    assert (again.blocks, again.provenance) == (propagated.blocks, propagated.provenance)
    for rule, said in propagated.said.items():
        told = again.said[rule]
        assert (told.exits == said.exits).all()
        assert (told.is_correct == said.is_correct).all()
        assert np.abs(told.confidence - said.confidence).max() <= 1 / 512  # half a step
        assert np.abs(told.nll - said.nll).max() <= 1 / 128
    with pytest.raises(InputError, match="not a file of exit records"):
        ExitRecords.load(file)


def test_halves_share_no_token_and_fit_one_another(records: ExitRecords, propagated: PropagatedPaths) -> None:
    tune, judge = records.calibration(), records.judged()
    assert (tune.n_tokens, judge.n_tokens) == (256, N - 256)  # cut between windows
    assert np.vstack([tune.confidence, judge.confidence]).tolist() == records.confidence.tolist()
    assert judge.at(N, 0, 2) == records.at(256 + N % (N - 256), 0, 2)
    assert tune.provenance["rows"] == [0, 256]
    assert judge.part(4, 10).provenance["rows"] == [260, 266]
    propagated.check_fits(records)
    propagated.judged().check_fits(judge)
    propagated.calibration().check_fits(tune)
    with pytest.raises(InputError, match=r"rows \[256, 600\]"):
        propagated.judged().check_fits(tune)
    assert propagated.judged().path(RULE).at(1, 0) == propagated.path(RULE).at(257, 0)
    with pytest.raises(InputError, match="expected at least two"):
        records.part(0, 1).judged()


def test_exits_stand_at_the_same_depths_of_a_deeper_model(
    records: ExitRecords, propagated: PropagatedPaths
) -> None:
    assert propagated.stretched(24).blocks == records.stretched(24).blocks == (6, 12, 18, 24)


def test_rules_that_mean_the_same_are_the_same() -> None:
    assert ExitRule((1.5, 0.3)) == ExitRule((math.inf, 0.3))
    assert ExitRule((-3.0, 0.3), "entropy") == ExitRule((-math.inf, 0.3), "entropy")
    assert ExitRule.fixed(1, 4).thresholds == (math.inf, 0.0, math.inf)
    assert ExitRule.fixed(3, 4).thresholds == (math.inf,) * 3
    assert str(ExitRule((0.25, 2.0))) == "confidence (0.25, never)"
    for wrong in ((), (math.nan,)):
        with pytest.raises(InputError, match="a number for each inner exit"):
            ExitRule(wrong)
    with pytest.raises(InputError, match="expected 'confidence' or 'entropy'"):
        ExitRule((0.5,), "margin")


def test_each_way_has_its_path(records: ExitRecords, propagated: PropagatedPaths) -> None:
    for fill in CacheFill:
        assert exit_path(fill, RULE, records, propagated).fill is fill
    assert exit_path(CacheFill.PROPAGATE, RULE, records, propagated).at(3, 4) == propagated.path(RULE).at(
        3, 4
    )
    with pytest.raises(InputError, match="--generation"):
        exit_path(CacheFill.PROPAGATE, RULE, records)
    with pytest.raises(InputError, match="measure both on one model and text"):
        exit_path(CacheFill.PROPAGATE, RULE, records.judged(), propagated)


def test_what_cannot_be_derived_is_refused(records: ExitRecords) -> None:
    with pytest.raises(InputError, match="depend on where earlier tokens left"):
        path_in_records(CacheFill.PROPAGATE, RULE, records)
    bare = ExitRecords(BLOCKS, records.confidence, records.is_correct)
    with pytest.raises(InputError, match="no losses"):
        path_in_records(CacheFill.RECOMPUTE, RULE, bare)
    with pytest.raises(InputError, match="expected a row for each token"):
        ExitPath(
            CacheFill.RECOMPUTE, RULE, BLOCKS, np.zeros(3, np.int64), np.zeros((2, 4), bool), np.zeros((2, 4))
        )

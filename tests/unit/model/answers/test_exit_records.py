"""Records of exits are replayed as a token-by-token loop over them would, and read as they were written."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgesim.errors import InputError
from edgesim.model.answers.exit_records import ExitRecords

BLOCKS = (2, 4, 6, 8)


@pytest.fixture(scope="module")
def records() -> ExitRecords:
    """Of real distributions over 50 words, so that entropy, confidence and loss fit one another."""
    draws = np.random.default_rng(1)
    scores = draws.normal(size=(500, 4, 50)) * np.array([1.0, 2.0, 4.0, 8.0])[:, None]
    p = np.exp(scores) / np.exp(scores).sum(axis=2, keepdims=True)
    right = draws.integers(50, size=500)
    return ExitRecords(
        blocks=BLOCKS,
        confidence=p.max(axis=2),
        is_correct=p.argmax(axis=2) == right[:, None],
        entropy=-(p * np.log(p)).sum(axis=2),
        nll=-np.log(p[np.arange(500), :, right]),
        provenance={"model": "drawn"},
    )


def walked(records: ExitRecords, thresholds: list[float], kind: str) -> list[int]:
    """At which exit each token leaves: asked exit by exit, as a strategy asks."""
    exits = []
    for token in range(records.n_tokens):
        for number, block in enumerate(BLOCKS):
            told = records.at(0, token, block)
            if number == len(thresholds):
                exits.append(number)
                break
            if kind == "confidence" and told.confidence >= thresholds[number]:
                exits.append(number)
                break
            if kind == "entropy" and told.entropy is not None and told.entropy <= thresholds[number]:
                exits.append(number)
                break
    return exits


@pytest.mark.parametrize(
    ("kind", "thresholds"),
    [
        ("confidence", [0.1, 0.3, 0.6]),
        ("confidence", [0.9, 0.5, 0.1]),
        ("confidence", [0.0, 0.0, 0.0]),
        ("confidence", [1.1, 1.1, 1.1]),
        ("entropy", [3.0, 2.0, 1.0]),
        ("entropy", [0.0, math.log(50), 0.0]),
    ],
)
def test_leaving_is_what_a_walk_from_exit_to_exit_finds(
    records: ExitRecords, kind: str, thresholds: list[float]
) -> None:
    left = walked(records, thresholds, kind)
    how = {kind: thresholds}

    assert records.leave(**how).tolist() == left
    assert records.shares(**how).tolist() == [left.count(number) / 500 for number in range(4)]
    right = [records.is_correct[token, number] for token, number in enumerate(left)]
    assert records.accuracy(**how) == sum(right) / 500
    assert records.nll is not None
    losses = [records.nll[token, number] for token, number in enumerate(left)]
    assert records.mean_nll(**how) == pytest.approx(math.fsum(losses) / 500, rel=1e-12)
    assert records.mean_block(**how) == sum(BLOCKS[number] for number in left) / 500


def test_answers_come_with_the_scatter_between_stretches() -> None:
    """Tokens of a stretch say the same, so that there are as many independent values as stretches."""
    losses = np.repeat([1.0, 2.0, 4.0, 5.0], 256)
    right = np.repeat([True, True, True, False], 256)
    both = (np.column_stack([losses, losses / 2]), np.column_stack([right, ~right]))
    sure = np.column_stack([np.ones(1024), np.full(1024, 0.5)])
    told = ExitRecords((1, 2), sure, both[1], nll=both[0]).at_exit(1)

    assert (told.nll, told.accuracy) == (3.0, 0.75)
    assert told.nll_se == pytest.approx(math.sqrt(((4 + 1 + 1 + 4) / 3) / 4), rel=1e-12)
    assert told.accuracy_se == pytest.approx(math.sqrt(((3 / 16 + 9 / 16) / 3) / 4), rel=1e-12)
    assert ExitRecords((1, 2), sure, both[1], nll=both[0]).at_exit(2).nll == 1.5
    short = ExitRecords((1, 2), sure[:300], both[1][:300], nll=both[0][:300]).at_exit(1)
    assert math.isnan(short.nll_se)


def test_answers_where_tokens_leave_are_the_means_there(records: ExitRecords) -> None:
    told = records.answers(entropy=[3.0, 2.0, 1.0])
    assert told.nll == records.mean_nll(entropy=[3.0, 2.0, 1.0])
    assert told.accuracy == records.accuracy(entropy=[3.0, 2.0, 1.0])


def test_a_confidence_that_just_reaches_its_threshold_is_enough(records: ExitRecords) -> None:
    threshold = float(records.confidence[7, 0])
    assert records.leave([threshold, 1.1, 1.1])[7] == 0
    assert records.leave([math.nextafter(threshold, 2), 1.1, 1.1])[7] == 3


def test_samples_are_stretches_of_the_text_that_begin_anew_at_its_end(records: ExitRecords) -> None:
    assert records.at(498, 3, 4) == records.at(1, 0, 4)
    assert records.at(1, 0, 4).confidence == records.confidence[1, 1]
    with pytest.raises(KeyError):
        records.at(0, 0, 3)


def test_exits_of_another_model_stand_at_the_same_depths(records: ExitRecords) -> None:
    deep = records.stretched(32)
    assert deep.blocks == (8, 16, 24, 32)
    assert deep.at(3, 4, 16) == records.at(3, 4, 4)
    with pytest.raises(InputError, match="a deeper model"):
        records.stretched(3)


def test_what_is_written_is_read_again_to_single_precision(records: ExitRecords, tmp_path: Path) -> None:
    records.save(tmp_path / "exits.parquet")
    read = ExitRecords.load(tmp_path / "exits.parquet")

    assert read.blocks == records.blocks
    assert read.provenance == {"model": "drawn"}
    assert (read.is_correct == records.is_correct).all()
    for name in ("confidence", "entropy", "nll"):
        assert (getattr(read, name) == getattr(records, name).astype(np.float32)).all()
    read.save(tmp_path / "again.parquet")
    assert (ExitRecords.load(tmp_path / "again.parquet").confidence == read.confidence).all()


def test_entropy_and_loss_may_be_missing(records: ExitRecords, tmp_path: Path) -> None:
    ExitRecords(BLOCKS, records.confidence, records.is_correct).save(tmp_path / "few.parquet")
    few = ExitRecords.load(tmp_path / "few.parquet")

    assert few.entropy is None
    assert few.at(0, 0, 2).nll is None
    assert few.accuracy([0.5] * 3) == records.accuracy([0.5] * 3)
    with pytest.raises(InputError, match="entropy was not recorded"):
        few.shares(entropy=[1.0] * 3)
    with pytest.raises(InputError, match="nll was not recorded"):
        few.mean_nll([0.5] * 3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"blocks": (2, 4, 8)}, "do not fit 3 exits"),
        ({"blocks": (2, 6, 4, 8)}, "expected increasing numbers from 1"),
        ({"confidence": np.full((1, 4), 1.01)}, "not a probability"),
        ({"confidence": np.full((1, 4), np.nan)}, "not a probability"),
        ({"entropy": np.full((1, 4), -0.1)}, "entropy"),
        ({"nll": np.zeros((4, 1))}, "nll"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], says: str) -> None:
    sound = {"blocks": BLOCKS, "confidence": np.ones((1, 4)), "is_correct": np.ones((1, 4), dtype=np.bool_)}
    with pytest.raises(InputError, match=says):
        ExitRecords(**(sound | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("how", [{}, {"confidence": [0.5]}, {"confidence": [0.5] * 3, "entropy": [1.0] * 3}])
def test_thresholds_are_one_for_each_inner_exit(records: ExitRecords, how: dict[str, list[float]]) -> None:
    with pytest.raises(InputError, match="expected 3 thresholds"):
        records.leave(**how)


def test_a_file_that_holds_no_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="edgesim quality MODEL"):
        ExitRecords.load(tmp_path / "missing.parquet")
    pq.write_table(pa.table({"confidence_2": [0.5]}), tmp_path / "plain.parquet")
    with pytest.raises(InputError, match="not a file of exit records"):
        ExitRecords.load(tmp_path / "plain.parquet")

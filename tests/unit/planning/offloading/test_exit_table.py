from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesim.errors import InputError
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.planning.offloading.exit_table import ExitTable


def drawn_records(seed: int, n: int = 200) -> ExitRecords:
    rng = np.random.default_rng(seed)
    confidence = np.round(rng.random((n, 3)), 2)
    return ExitRecords(
        (2, 4, 6), confidence, rng.random((n, 3)) < confidence, entropy=np.round(3 * (1 - confidence), 2)
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), levels=st.tuples(st.integers(0, 22), st.integers(0, 22)))
def test_shares_and_accuracy_are_those_of_one_sample_after_another(
    seed: int, levels: tuple[int, int]
) -> None:
    records = drawn_records(seed)
    table = ExitTable.of_records(records, (2, 4, 6))
    least = table.thresholds(levels)
    reached, went_on, right = [0, 0], [0, 0], 0
    for confidence, is_correct in zip(records.confidence, records.is_correct, strict=True):
        for place in range(3):
            if place == 2 or confidence[place] >= least[place]:
                right += int(is_correct[place])
                break
            went_on[place] += 1
        for place in range(2):
            reached[place] += int(place == 0 or confidence[0] < least[0])
    found = table.outcome(levels)
    assert found.accuracy == pytest.approx(right / 200)
    for place in range(2):
        if reached[place]:
            assert found.continues[place] == pytest.approx(went_on[place] / reached[place])
    assert found.leaves.sum() == pytest.approx(1)
    assert np.prod(found.continues) == pytest.approx(found.leaves[-1])


def test_the_records_own_replay_agrees_for_confidences_and_entropies() -> None:
    records = drawn_records(1)
    by_confidence = ExitTable.of_records(records, (2, 4, 6), grid=(0.3, 0.6, 0.9))
    assert by_confidence.leave((2, 1)).tolist() == records.leave([0.9, 0.6]).tolist()
    by_entropy = ExitTable.of_records(records, (2, 4, 6), by="entropy", grid=(0.5, 1.0, 2.0))
    levels = (0, 2)  # the larger a level, the surer: the lower the entropy
    assert by_entropy.thresholds(levels).tolist() == [2.0, 0.5]
    assert by_entropy.leave(levels).tolist() == records.leave(entropy=[2.0, 0.5]).tolist()


def test_a_sub_model_without_a_recorded_exit_has_none_and_inf_closes_one() -> None:
    records = drawn_records(2)
    table = ExitTable.of_records(records, (2, 3, 6), grid=(0.0, np.inf))
    assert table.outcome((1, 0)).continues.tolist() == [
        1.0,
        np.nextafter(1.0, 0.0),
    ]  # closed; open, not taken
    assert table.outcome((0, 0)).leaves.tolist() == [1.0, 0.0, 0.0]
    assert table.highest == (1, 1)


def test_thresholds_may_be_chosen_on_other_tokens_than_are_judged() -> None:
    records = drawn_records(3)
    half = ExitTable.of_records(records, (2, 4, 6), tokens=slice(0, 100))
    assert half.certainty[:, 0].tolist() == records.confidence[:100, 0].tolist()


def test_foreign_blocks_levels_and_grids_are_refused() -> None:
    records = drawn_records(0)
    with pytest.raises(InputError, match="the last 6"):
        ExitTable.of_records(records, (2, 4))
    table = ExitTable.of_records(records, (2, 4, 6))
    with pytest.raises(InputError, match="expected 2 numbers from 0 to 22"):
        table.outcome((1, 23))
    with pytest.raises(InputError, match="increasing thresholds"):
        ExitTable.of_records(records, (2, 4, 6), grid=(0.5, 0.5))
    with pytest.raises(InputError, match="one of each"):
        ExitTable(np.ones((3, 2)), np.ones((2, 2), np.bool_), np.ones(1))
    unmeasured = ExitRecords((2, 4), np.ones((3, 2)), np.ones((3, 2), np.bool_))
    with pytest.raises(InputError, match="entropy was not recorded"):
        ExitTable.of_records(unmeasured, (2, 4), by="entropy")

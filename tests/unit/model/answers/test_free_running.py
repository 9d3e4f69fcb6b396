"""Divergence of texts: where they first differ, what is kept in a file, and what was not measured."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.free_running import Divergence, FreeRunning, first_differences


def row(fill: CacheFill, rule: ExitRule) -> Divergence:
    return Divergence(
        rule=rule,
        fill=fill,
        first_difference=(0, 2, 4, 4),
        same_share=(0.75, 0.75, 0.5, 0.5),
        nll=1.25,
        nll_se=0.1,
        full_nll=1.0,
        mean_block=5.5,
    )


def test_texts_differ_where_a_loop_finds_it() -> None:
    draws = np.random.default_rng(1)
    texts, reference = draws.integers(2, size=(40, 5)), draws.integers(2, size=(40, 5))
    texts[0] = reference[0]
    found = first_differences(texts, reference)
    for own, text, other in zip(found, texts, reference, strict=True):
        assert own == next((n for n in range(5) if text[n] != other[n]), 5)


def test_shares_follow_from_where_texts_differ() -> None:
    one = row(CacheFill.PROPAGATE, ExitRule((0.3,)))
    assert [one.identical(n) for n in (1, 2, 3, 4)] == [0.75, 0.75, 0.5, 0.5]
    assert one.median_first_difference == 3
    with pytest.raises(InputError, match="expected 1 to 4"):
        one.identical(5)


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    rules = ExitRule((0.3, math.inf)), ExitRule((1.0, -math.inf), "entropy")
    kept = FreeRunning([row(fill, rule) for rule in rules for fill in CacheFill], {"model": "m"})
    kept.save(tmp_path / "free.parquet")
    again = FreeRunning.load(tmp_path / "free.parquet")
    assert (list(again.rows), again.provenance) == (list(kept.rows), kept.provenance)
    assert again.at(CacheFill.SAME_PATH, rules[1]) == kept.rows[5]
    with pytest.raises(InputError, match=r"nearest measured rule is confidence \(0.3, never\)"):
        again.at(CacheFill.SAME_PATH, ExitRule((0.4, math.inf)))

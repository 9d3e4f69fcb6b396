"""What ships of generation that leaves early is what the bundled model does, on the text it was measured on.

Another processor rounds otherwise: a confidence next to a threshold may fall on its other side, and with
propagated caches what follows it in its window too. So one window or text of several may differ.
"""

from __future__ import annotations

import numpy as np
import pytest
from effort import long_only

from edgesim.measure.exits import exit_records
from edgesim.measure.generation.exit_paths import standard_rules, teacher_forced
from edgesim.measure.generation.free_running import N_PROMPTS, PROMPT_TOKENS, prompts_of, written
from edgesim.measure.generation.generation_cache import MeasuredGeneration, kept_generation
from edgesim.measure.generation.impaired_exits import standard_impairments
from edgesim.measure.language_model import LanguageModel, load_language_model
from edgesim.measure.model_folder import model_folder
from edgesim.measure.quality_cache import kept_answers
from edgesim.measure.text import Text, read_text, windows
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.free_running import first_differences
from edgesim.model.answers.impairment import Erasure

pytestmark = [pytest.mark.measured, pytest.mark.slow]
LONG = long_only("minutes")

LENGTH = 256
ROUNDING = 1e-4
MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def bundled() -> LanguageModel:
    return load_language_model("bundled")


@pytest.fixture(scope="module")
def shipped() -> MeasuredGeneration:
    kept = kept_generation("bundled")
    assert kept is not None
    return kept


@pytest.fixture(scope="module")
def text(shipped: MeasuredGeneration) -> Text:
    held_out = read_text("bundled")
    if held_out.digest != shipped.paths.provenance["text_sha256"]:
        pytest.skip("another Python, whose text is another one")
    return held_out


def test_it_is_of_the_same_tokens_as_the_exit_records_and_small(shipped: MeasuredGeneration) -> None:
    answers = kept_answers("bundled")
    assert answers is not None
    shipped.paths.check_fits(answers.exits)
    assert list(shipped.paths.rules) == standard_rules(4)
    names = ("exit_paths.parquet", "free_running.parquet", "impaired_exits.parquet")
    assert sum((model_folder("bundled") / name).stat().st_size for name in names) < MOST_BYTES


@LONG
def test_paths_are_walked_again(bundled: LanguageModel, shipped: MeasuredGeneration, text: Text) -> None:
    cut = windows(bundled.tokens(text), LENGTH)[:4]
    rules = [ExitRule.uniform(0.5, 4), ExitRule((0.6, 2.0, 0.3)), ExitRule.uniform(3.0, 4, kind="entropy")]
    again = teacher_forced(bundled, cut, rules, CacheFill.PROPAGATE)
    for rule, fresh in zip(rules, again, strict=True):
        kept = shipped.paths.said[rule].part(0, cut[:, 1:].size)
        same = (fresh.exits == kept.exits).reshape(len(cut), LENGTH).all(axis=1)
        assert same.sum() >= len(cut) - 1
        rows = np.repeat(same, LENGTH)
        assert np.abs(fresh.nll - kept.nll)[rows].max() <= 1 / 128 + ROUNDING
        assert np.abs(fresh.confidence - kept.confidence)[rows].max() <= 1 / 512 + ROUNDING
        assert (fresh.is_correct == kept.is_correct)[rows].mean() > 0.999


@LONG
def test_text_is_written_again(bundled: LanguageModel, shipped: MeasuredGeneration, text: Text) -> None:
    prompts = prompts_of(bundled, text, N_PROMPTS, PROMPT_TOKENS)[:6]
    rule, n_tokens = ExitRule.uniform(0.5, 4), 48
    whole, _ = written(bundled, prompts, ExitRule.fixed(3, 4), CacheFill.RECOMPUTE, n_tokens)
    for fill in CacheFill:
        row = shipped.written.at(fill, rule)
        tokens, _ = written(bundled, prompts, rule, fill, n_tokens)
        told = [min(first, n_tokens) for first in row.first_difference[: len(prompts)]]
        differing = np.array(first_differences(tokens, whole)) != told
        assert differing.sum() <= 1
        assert row.identical(1) >= 0.5  # most prompts' first token is all blocks' own


def test_impaired_exits_are_measured_again(
    bundled: LanguageModel, shipped: MeasuredGeneration, text: Text
) -> None:
    impairment = Erasure(0.3, 2, unit="packet")
    assert impairment in standard_impairments(bundled.exit_blocks)
    answers = kept_answers("bundled")
    assert answers is not None
    kept = shipped.impaired.applied_to(impairment, answers.exits)
    fresh = exit_records(bundled, text, n_tokens=2 * LENGTH, impairment=impairment)
    assert fresh.nll is not None
    assert kept.nll is not None
    half = (
        kept.n_tokens // LENGTH // 2 * LENGTH
    )  # two windows spread over the text: its first, and the middle
    rows = np.r_[0:LENGTH, half : half + LENGTH]
    assert np.abs(fresh.confidence - kept.confidence[rows]).max() <= 1 / 512 + ROUNDING
    assert np.abs(fresh.nll - kept.nll[rows]).max() <= 1 / 128 + 10 * ROUNDING
    clean = answers.exits
    assert (kept.confidence[:, 0] == clean.confidence[:, 0]).all()  # the exit at the split
    assert (kept.confidence[:, 1:] != clean.confidence[:, 1:]).mean() > 0.9

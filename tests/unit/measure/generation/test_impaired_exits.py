"""Exits under impairments: against a forward pass in plain loops that ends at each exit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from slow_llama import slow_logits  # noqa: E402
from tiny_language_models import tiny  # noqa: E402

from edgesim.errors import InputError  # noqa: E402
from edgesim.measure.answer_quality import generator_of  # noqa: E402
from edgesim.measure.exits import exit_records  # noqa: E402
from edgesim.measure.generation.impaired_exits import measure_impaired_exits, standard_impairments  # noqa: E402
from edgesim.measure.language_model import LanguageModel  # noqa: E402
from edgesim.measure.text import Text, windows  # noqa: E402
from edgesim.model.answers.exit_paths import CacheFill, path_in_records  # noqa: E402
from edgesim.model.answers.exit_records import ExitRecords  # noqa: E402
from edgesim.model.answers.exit_rule import ExitRule  # noqa: E402
from edgesim.model.answers.impaired_exits import ImpairedExits, SplitKind  # noqa: E402
from edgesim.model.answers.impairment import AllReduceNoise, Combined, Erasure  # noqa: E402

SPLIT, LENGTH = 2, 16
LOST = Erasure(0.3, SPLIT, unit="packet", packet_elements=16)
WHERE = {"model_sha256": "m", "text_sha256": "t"}


@pytest.fixture(scope="module")
def text() -> Text:
    return Text("words", "0" * 64, {"one": "the sum of all parts is noisy, an early exit guesses"})


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    own = tiny(num_hidden_layers=4, max_position_embeddings=LENGTH)
    return replace(own, exit_blocks=(1, 2, 3), temperatures=(1.2, 0.9, 1.1, 0.8))


@pytest.fixture(scope="module")
def clean(model: LanguageModel, text: Text) -> ExitRecords:
    return exit_records(model, text, n_tokens=2 * LENGTH, provenance=WHERE)


@pytest.fixture(scope="module")
def measured(model: LanguageModel, text: Text) -> ImpairedExits:
    return measure_impaired_exits(model, text, [LOST], n_tokens=2 * LENGTH, seed=5, provenance=WHERE)


def test_each_exit_reads_what_a_pass_in_loops_hands_it(
    model: LanguageModel, text: Text, clean: ExitRecords, measured: ImpairedExits
) -> None:
    weights = {name: value.double().numpy() for name, value in model.model.state_dict().items()}
    cut = windows(model.tokens(text), LENGTH)[: clean.n_tokens // LENGTH]
    told = measured.applied_to(LOST, clean)
    assert told.nll is not None
    assert told.blocks == (1, 2, 3, 4)
    for number, window in enumerate(cut):
        lost = losses(generator_of(5, LOST, 0, number), model.hidden_size)
        rows = slice(number * LENGTH, (number + 1) * LENGTH)
        for column, block in enumerate(told.blocks):
            config = copy.copy(model.model.config)
            config.num_hidden_layers = block  # a lens is what the head makes of a shorter model
            split = lost if block > SPLIT else (lambda _block, _position, state: state)
            logits = slow_logits(weights, config, window[:-1].tolist(), split=split)
            logits /= model.temperatures[column]
            logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            assert np.exp(logs).max(axis=1) == pytest.approx(told.confidence[rows, column], abs=1e-4)
            assert -logs[np.arange(LENGTH), window[1:]] == pytest.approx(told.nll[rows, column], abs=1e-3)
    assert np.abs(told.confidence - clean.confidence)[:, 2:].max() > 0.01


def losses(generator: torch.Generator, n_elements: int) -> Callable[[int, int, np.ndarray], np.ndarray]:
    arrives = (torch.rand(LENGTH, n_elements // 16, generator=generator) >= LOST.p).numpy()

    def split(block: int, position: int, state: np.ndarray) -> np.ndarray:
        return state * np.repeat(arrives[position], 16) if block == SPLIT else state

    return split


def test_tokens_are_judged_where_they_leave_with_what_they_met(
    clean: ExitRecords, measured: ImpairedExits
) -> None:
    told = measured.applied_to(LOST, clean)
    rule = ExitRule((0.5, 2.0, float(np.median(told.confidence[:, 2]))))
    joint = path_in_records(CacheFill.RECOMPUTE, rule, told)
    alone = path_in_records(CacheFill.RECOMPUTE, rule, clean)
    assert ((joint.exits == 0) == (alone.exits == 0)).all()  # before the split nothing has changed
    assert (joint.exits != alone.exits).any()
    half = measured.applied_to(LOST, clean.judged())
    assert half.confidence.tolist() == told.judged().confidence.tolist()


def test_files_and_refusals(clean: ExitRecords, measured: ImpairedExits, tmp_path: Path) -> None:
    measured.save(tmp_path / "impaired.parquet")
    again = ImpairedExits.load(tmp_path / "impaired.parquet")
    one, other = again.applied_to(LOST, clean), measured.applied_to(LOST, clean)
    assert again.provenance == WHERE
    assert np.abs(one.confidence - other.confidence).max() <= 1 / 512
    assert (one.is_correct == other.is_correct).all()
    assert measured.applied_to(replace(LOST, p=0.0), clean) is clean
    with pytest.raises(InputError, match=r"nearest measured level is 0\.3"):
        measured.applied_to(replace(LOST, p=0.2), clean)
    with pytest.raises(InputError, match="measured were packet-erasure-of-16 after block 2"):
        measured.applied_to(Erasure(0.3, 1), clean)
    with pytest.raises(InputError, match="model_sha256"):
        measured.applied_to(LOST, replace(clean, provenance={}))
    with pytest.raises(InputError, match="measured model's own blocks"):
        measured.applied_to(LOST, clean.stretched(8))
    with pytest.raises(InputError, match="only exits after the split"):
        ImpairedExits({SplitKind("erasure", 0.1, 1): clean})
    with pytest.raises(InputError, match="expected equal numbers of tokens"):
        ImpairedExits({})


def test_what_is_not_measured_together_is_refused(model: LanguageModel, text: Text) -> None:
    with pytest.raises(InputError, match="acts at no split"):
        measure_impaired_exits(model, text, [AllReduceNoise(0.1)])
    with pytest.raises(InputError, match="one at a time"):
        exit_records(model, text, impairment=Combined((LOST, AllReduceNoise(0.1))))
    with pytest.raises(InputError, match="expected a split after 1 to 3"):
        exit_records(model, text, impairment=Erasure(0.1, 4))
    assert [(each.block, each.name) for each in standard_impairments((2, 4, 6))][::2] == [
        (2, "packet-erasure"),
        (2, "erasure"),
        (4, "packet-erasure"),
    ]

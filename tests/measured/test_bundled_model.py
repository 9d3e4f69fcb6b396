"""The small model that ships: it loads anywhere, each exit is better than the one before, and is calibrated.

The texts are those of the Python that runs, so figures differ a little between versions of Python; these
limits leave room for that.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from edgesim.measure.exits import exit_quality
from edgesim.measure.language_model import LanguageModel, load_language_model
from edgesim.measure.model_folder import model_folder
from edgesim.measure.text import read_text

pytestmark = pytest.mark.measured

MOST_BITS_PER_BYTE = 2.2
MOST_CALIBRATION_ERROR = 0.03


@pytest.fixture(scope="module")
def bundled() -> LanguageModel:
    return load_language_model("bundled")


def test_it_loads_by_transformers_alone_and_is_small() -> None:
    folder = model_folder("bundled")
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.model_type == "llama"
    assert model.config.num_hidden_layers >= 8
    assert model.num_parameters() <= 6_000_000
    assert (folder / "model.safetensors").stat().st_size <= 12_000_000
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "The quick brown fox: naïve café, 日本語."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_deeper_exits_are_better_and_all_know_how_sure_they_may_be(bundled: LanguageModel) -> None:
    rows = exit_quality(bundled, read_text("bundled"))
    assert [row.block for row in rows] == [2, 4, 6, 8]
    assert rows[-1].bits_per_byte <= MOST_BITS_PER_BYTE
    assert np.all(np.diff([row.accuracy for row in rows]) > 0)
    assert np.all(np.diff([row.bits_per_byte for row in rows]) < 0)
    assert all(row.calibration_error <= MOST_CALIBRATION_ERROR for row in rows)


def test_the_record_of_its_training_tells_of_texts_and_curve() -> None:
    record = json.loads((model_folder("bundled") / "training.json").read_text())
    steps, nats = zip(*((p["step"], p["train_nats_per_token"]) for p in record["curve"]), strict=True)
    assert steps[-1] == record["options"]["steps"]
    assert all(before > after for before, after in zip(nats[0], nats[-1], strict=True))
    assert nats[-1] == sorted(nats[-1], reverse=True)  # deeper exits have learned more
    assert {"train_sha256", "calibration_sha256", "test_sha256", "options", "torch", "python"} <= set(record)

"""A model whose own config says that its weights are quantised, from the config to the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesim.model.profile import Profile
from edgesim.scenario.catalogue import device_kind
from edgesim.trace.reader import Trace

LLAMA_2_7B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": False, "sym": True}
SCENARIO = """\
name: board
horizon: 60 s
model: {architecture: served/config.json, dtype: float16}
profile: analytic
topology:
  devices:
    - {id: board, kind: raspberry-pi-5}
workload:
  arrivals: {poisson: 0.2 Hz}
  prompt_tokens: 8
  output_tokens: 4
strategies:
  - {use: local}
"""
Write = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """A scenario beside the config of its model."""

    def write(quantisation: object) -> Path:
        config: dict[str, Any] = LLAMA_2_7B | {"quantization_config": quantisation}
        (tmp_path / "served").mkdir(exist_ok=True)
        (tmp_path / "served" / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (tmp_path / "board.yaml").write_text(SCENARIO, encoding="utf-8")
        return tmp_path / "board.yaml"

    return write


def gigabytes() -> float:
    n_packed = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
    n_inputs = 32 * (6 * 4096 + 11008)
    n_plain = 2 * 32000 * 4096 + 65 * 4096
    return (n_packed * (0.5 + 2.5 / 64) + 4 * n_inputs + 2 * n_plain) / 1e9


def test_a_four_bit_model_fits_a_board_that_the_same_in_sixteen_bits_does_not(
    edgesim, written: Write, tmp_path: Path
) -> None:
    said = edgesim("check", written(None))
    assert said.status == 2
    assert "13.48 GB of weights" in said.err
    file = written(GPTQ)
    said = edgesim("check", file)
    assert said.status == 0, said.err
    assert f"{gigabytes():.2f} GB of weights in gptq, 4 bits, a scale for each 64 weights" in said.out
    said = edgesim("run", file, "--replications", 1, "--out", tmp_path / "trace")
    assert said.status == 0, said.err
    told = Trace(tmp_path / "trace").run["model"]
    assert told["quantisation"].startswith("gptq")
    assert told["bytes_per_weight"] * 6_738_415_616 == pytest.approx(gigabytes() * 1e9)
    assert f"(float16, gptq, {told['bytes_per_weight']:.4g} bytes per weight)" in said.out
    resident = Trace(tmp_path / "trace").devices("local", 0)["peak_memory_bytes"].iloc[0]
    assert resident >= gigabytes() * 1e9


def test_a_decode_step_saves_the_time_of_the_bytes_that_it_need_not_read(
    edgesim, written: Write, tmp_path: Path
) -> None:
    """One token at a time is bound by memory; all else, the cache and overheads, is the same."""

    def step_s(name: str, *words: object) -> float:
        said = edgesim("run", file, "--replications", 1, "--out", tmp_path / name, *words)
        assert said.status == 0, said.err
        spans = Trace(tmp_path / name).spans("local", 0)
        steps = spans[(spans["kind"] == "compute") & (spans["token"] == 1)].dropna(subset=["ended_at_s"])
        return float((steps["ended_at_s"] - steps["started_at_s"]).mean())

    file = written(GPTQ)
    room = ("--set", "topology.devices.board.memory=64 GiB", "--set", "horizon=300 s")
    packed_s, plain_s = step_s("packed", *room), step_s("plain", *room, "--set", "model.bytes_per_weight=2")
    ceilings = device_kind("raspberry-pi-5").ceilings("float16")
    assert ceilings is not None
    saved_bytes = 2 * 6_738_415_616 - gigabytes() * 1e9
    assert plain_s - packed_s == pytest.approx(saved_bytes / ceilings.bytes_per_s, rel=1e-9)
    assert plain_s > 3.3 * packed_s


def test_the_scenarios_own_weights_win_and_it_is_said(edgesim, written: Write) -> None:
    said = edgesim("check", written(GPTQ), "--set", "model.weights=q40")
    assert said.status == 0, said.err
    assert "0.5625 bytes per weight, as the scenario says: 3.79 GB of weights instead of" in said.out


def test_what_is_not_read_is_refused_where_the_model_stands(edgesim, written: Write) -> None:
    file = written({"quant_method": "aqlm", "nbits_per_codebook": 16})
    said = edgesim("check", file)
    assert said.status == 2
    assert f"{file}:3:9: $.model.architecture: model served: quantization_config in its config: " in said.err
    assert "quant_method is 'aqlm'" in said.err
    assert "'weights:'" in said.err
    said = edgesim("check", file, "--set", "model.weights=int4")
    assert said.status == 0, said.err
    assert "its quantization_config is ignored; 0.519531 bytes per weight are used" in said.out


@pytest.mark.measured
def test_measuring_says_that_it_measures_plain_weights(edgesim, tmp_path: Path) -> None:
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LLAMA_2_7B | small | {"num_key_value_heads": 4, "vocab_size": 64, "quantization_config": GPTQ}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    words = ("--budget", "1 s", "--max-prompt", 4, "--max-context", 8, "-o", tmp_path / "p.parquet")
    said = edgesim("profile", tmp_path / "config.json", "--dtype", "float32", "--threads", 1, *words)
    assert said.status == 0, said.err
    assert "the config has quantised weights; modules with plain weights in float32 are measured" in said.err
    measured = Profile.load(tmp_path / "p.parquet").architecture
    assert measured.storage is None
    assert "quantization_config" not in measured.config

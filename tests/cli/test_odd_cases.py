"""Odd inputs that once failed, from the command line: what `check` says is what `run` does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgesim.cli import main
from edgesim.cli.options import load_scenario

SCENARIO = """\
name: case
replications: 1
horizon: 10 s
model: {{architecture: {architecture}, dtype: float32}}
profile: analytic
topology:
  devices:
    - {{id: board, kind: raspberry-pi-5}}
workload: {{arrivals: {{poisson: 1 Hz}}, prompt_tokens: {n_prompt}, output_tokens: 4}}
strategies:
  - {{use: local}}
"""
SHAPE = {
    "model_type": "llama", "hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2,
    "num_hidden_layers": 2, "intermediate_size": 512, "vocab_size": 1000, "max_position_embeddings": 512,
}  # fmt: skip
CELLS = """\
name: cells
replications: 1
horizon: 30 s
model: {architecture: edgesim-tiny, dtype: float32}
profile: analytic
topology:
  devices:
    - {id: phone, kind: phone, mobility: {track: {file: t.csv}}}
    - {id: cell, kind: jetson-orin-nano, count: 2, place: {grid: 100 m}}
  links:
    - {between: [phone, cell], radio: {use: nr-n78}, propagation: free-space, handover: {}}
workload: {sources: phone, arrivals: {deterministic: {every: 1 s}}, prompt_tokens: 200, output_tokens: 8}
strategies:
  - {use: offload, to: cell-0}
"""


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["edgesim", *words])
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr()
    return int(end.value.code or 0), told.out + told.err


CONFIGS: list[tuple[str, dict[str, object], int]] = [
    (
        "a rotation of an old name",
        {"rope_scaling": {"type": "su", "short_factor": [1.0], "long_factor": [1.2]}},
        8,
    ),
    ("attention to run with", {"_attn_implementation": "flash_attention_2"}, 8),
    ("tuples to answer with", {"return_dict": False}, 8),
    ("heads that need not divide", {"hidden_size": 200, "num_attention_heads": 6, "head_dim": 64}, 8),
    (
        "a context stretched by YaRN",
        {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}},
        1500,
    ),
]


@pytest.mark.parametrize(
    ("odd", "n_prompt"), [case[1:] for case in CONFIGS], ids=[case[0] for case in CONFIGS]
)
def test_an_odd_config_that_is_right_is_checked_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    odd: dict[str, object], n_prompt: int,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text(json.dumps(SHAPE | odd))
    Path("s.yaml").write_text(SCENARIO.format(architecture="config.json", n_prompt=n_prompt))
    for words in (("check", "s.yaml"), ("run", "s.yaml", "--out", "out", "--quiet")):
        assert said(monkeypatch, capsys, *words)[0] == 0


def test_a_config_that_is_wrong_is_one_sentence_of_check_and_of_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text(json.dumps(SHAPE | {"hidden_act": "evil"}))
    Path("s.yaml").write_text(SCENARIO.format(architecture="config.json", n_prompt=8))
    for words in (("check", "s.yaml"), ("run", "s.yaml", "--out", "out", "--quiet")):
        status, text = said(monkeypatch, capsys, *words)
        assert status == 2
        assert "s.yaml:4:9: $.model.architecture: model " in text
        assert "hidden_act is 'evil' in its config; expected an activation function" in text
    assert not Path("out").exists()


def test_cells_without_a_link_between_them_are_told_by_check_as_by_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("t,id,x,y\n0,a,0,0\n10,a,20,0\n20,a,90,0\n")
    Path("s.yaml").write_text(CELLS)
    answers = [
        said(monkeypatch, capsys, *words)
        for words in (("check", "s.yaml"), ("run", "s.yaml", "--out", "out", "--quiet"))
    ]
    assert [status for status, _ in answers] == [2, 2]
    for _, text in answers:
        assert text.startswith("s.yaml:")
        assert "cell-1" in text
    assert not Path("out").exists()


def test_link_refuses_an_endless_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        ("--until", "1e300 s", "--every", "1e299 s"), ("--from", "1e300 s", "--until", "1e300 s"),
        ("--until", "1e9 s", "--every", "1 ms"),
    ):  # fmt: skip
        status, text = said(monkeypatch, capsys, "link", "smart_city", *words)
        assert status == 2
        assert "Traceback" not in text
    assert load_scenario("smart_city", None).name == "smart-city"

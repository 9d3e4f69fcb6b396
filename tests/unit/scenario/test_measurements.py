"""Files of measured rates, their mistakes, and the device kind that comes out of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from edgesim.cli import main
from edgesim.errors import InputError
from edgesim.model.calibration import calibrate
from edgesim.scenario.measurements import kind_snippet, read_measurements
from edgesim.scenario.schema.device_kinds import DeviceKind

PI_5 = """\
device: pi-5-q40
source: distributed-llama's README
measurements:
  - {model: llama-2-7b, bytes_per_weight: 0.5625, value: 435, unit: ms/token}
  - {model: llama-3-8b, bytes_per_weight: 0.5625, value: 1.795, unit: tokens/s}
"""
CSV = """\
model, value, unit, phase, n_prompt, bytes_per_weight, nodes
llama-2-7b, 435, ms/token, decode, , 0.5625, 1
llama-3-8b, 0.557, s/token, , 16, 0.5625,
llama-2-7b, 20, tokens/s, prefill, 128, 0.5625, 1
"""


def written(folder: Path, text: str, name: str = "rows.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_yaml_and_csv_give_the_same_rows(tmp_path: Path) -> None:
    _, from_yaml = read_measurements(written(tmp_path, PI_5))
    _, from_csv = read_measurements(written(tmp_path, CSV, "rows.csv"))
    assert [row.seconds for row in from_yaml] == pytest.approx([0.435, 1 / 1.795])
    assert [row.seconds for row in from_csv] == pytest.approx([0.435, 0.557, 128 / 20])
    assert [row.phase for row in from_csv] == ["decode", "decode", "prefill"]
    assert from_yaml[0].model == from_csv[0].model


@pytest.mark.parametrize("known", [{}, {"flop_per_s": 75e9}])
def test_the_snippet_is_a_kind_with_the_fitted_figures(tmp_path: Path, known: dict[str, float]) -> None:
    read, rows = read_measurements(written(tmp_path, PI_5))
    fit = calibrate(rows, **known)
    kinds = YAML(typ="safe", pure=True).load(kind_snippet(read, fit))["kinds"]
    kind = DeviceKind.model_validate(kinds["pi-5-q40"])
    ceilings = kind.ceilings("float32")
    assert ceilings is not None
    assert ceilings.bytes_per_s == pytest.approx(fit.bytes_per_s.value, rel=1e-3)
    assert ceilings.overhead_s == pytest.approx(fit.overhead_s.value, rel=1e-3)
    assert ceilings.flop_per_s == pytest.approx(known.get("flop_per_s", fit.flop_per_s_at_least), rel=1e-3)
    assert kind.bytes_per_s is not None
    assert "95 % interval" in kind.bytes_per_s.source
    assert kind.bytes_per_s.estimate


@pytest.mark.parametrize(
    ("text", "name", "complaint"),
    [
        (PI_5.replace("ms/token", "ms/tokn"), "a.yaml", r"a.yaml:4:5: .*'ms/tokn'.*did you mean 'ms/token'"),
        (PI_5.replace("llama-3-8b", "lama-3-8b"), "a.yaml", r"a.yaml:5:.*lama-3-8b"),
        (PI_5.replace("435", "-1"), "a.yaml", r"a.yaml:4:\d+: .*value"),
        (PI_5.replace("value: 435", "valu: 435"), "a.yaml", r"unknown key 'valu'; did you mean 'value'"),
        (CSV.replace("0.5625, 1\nllama-3", "0.5625, 2\nllama-3"), "a.csv", r"a.csv:2: 2 nodes: messages"),
        (CSV.replace("435", "many"), "a.csv", r"a.csv:2: value: expected a number, got 'many'"),
        (CSV + "gpt2, 3\n", "a.csv", r"a.csv:5: not as many columns"),
        ("device: x\n", "a.yaml", "'measurements' is missing"),
        ("[1, 2", "a.yaml", "not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, name: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read_measurements(written(tmp_path, text, name))


def test_rows_of_two_number_formats_are_refused(tmp_path: Path) -> None:
    mixed = PI_5.replace("model: llama-3-8b", "dtype: float16, model: llama-3-8b")
    with pytest.raises(InputError, match="float16 and float32"):
        read_measurements(written(tmp_path, mixed))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_measurements(tmp_path / "nowhere.yaml")


def test_the_command_prints_a_kind_and_refuses_what_one_row_cannot_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgesim", "calibrate", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    status, out, err = call(written(tmp_path, PI_5), "--error", "0.05")
    assert status == 0
    assert "pi-5-q40" in YAML(typ="safe", pure=True).load(out)["kinds"]
    assert "435 ms" in err
    lone = written(tmp_path, PI_5.rsplit("  - ", 1)[0], "lone.yaml")
    status, out, err = call(lone)
    assert (status, out) == (2, "")
    assert "1 row cannot tell 2 parameters" in err
    assert "--overhead" in err
    status, out, _ = call(lone, "--overhead", "0.5 ms", "--compute", "75 GFLOP/s")
    assert status == 0
    assert "75 GFLOP/s" in out
    status, _, err = call(lone, "--overhead", "0.5")
    assert status == 2
    assert "--overhead" in err

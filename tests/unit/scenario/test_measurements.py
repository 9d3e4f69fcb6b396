"""Files of measured rates, their mistakes, and the device kind that comes out of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from edgesim.cli import main
from edgesim.errors import InputError
from edgesim.model.calibration import calibrate
from edgesim.scenario.measurements import kind_snippet, read_measurements, to_fill_in
from edgesim.scenario.schema.device_kinds import DeviceKind

PI_5 = """\
device: pi-5-q40
source: distributed-llama's README
memory: 8 GiB
process_memory: 600 MB
power: {idle: 3 W, active: 4 W, tx: 0.5 W, rx: 0.3 W}
message_overhead: 0.3 ms
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


def test_what_nothing_tells_cannot_be_simulated_unnoticed(tmp_path: Path) -> None:
    """Neither memory nor power nor the cost of a message: a scenario refuses each until it is filled in."""
    read, rows = read_measurements(written(tmp_path, CSV, "rows.csv"))
    snippet = kind_snippet(read, calibrate(rows))
    assert to_fill_in(read) == ["memory", "process_memory", "power", "message_overhead"]
    assert snippet.count("FILL IN") == 7
    with pytest.raises(ValidationError) as found:
        DeviceKind.model_validate(YAML(typ="safe", pure=True).load(snippet)["kinds"]["calibrated"])
    assert found.value.error_count() == 7
    told, _ = read_measurements(written(tmp_path, PI_5))
    assert to_fill_in(told) == []


@pytest.mark.parametrize("separator", [";", ","])
def test_a_csv_file_may_be_written_by_a_spreadsheet_of_any_country(tmp_path: Path, separator: str) -> None:
    text = CSV.replace(",", separator).replace("model", "Model").replace("value", "VALUE")
    text = text.replace("0.5625", "0,5625") if separator == ";" else text
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    _, rows = read_measurements(tmp_path / "rows.csv")
    assert [row.seconds for row in rows] == pytest.approx([0.435, 0.557, 128 / 20])
    assert {row.bytes_per_weight for row in rows} == {0.5625}


@pytest.mark.parametrize(
    ("text", "name", "complaint"),
    [
        (PI_5.replace("ms/token", "ms/tokn"), "a.yaml", r"a.yaml:8:5: .*'ms/tokn'.*did you mean 'ms/token'"),
        (PI_5.replace("llama-3-8b", "lama-3-8b"), "a.yaml", r"a.yaml:9:.*lama-3-8b"),
        (PI_5.replace("435", "-1"), "a.yaml", r"a.yaml:8:\d+: .*value"),
        (PI_5.replace("value: 435", "valu: 435"), "a.yaml", r"unknown key 'valu'; did you mean 'value'"),
        (
            CSV.replace("0.5625, 1\nllama-3", "0.5625, 2\nllama-3"),
            "a.csv",
            r"a.csv:2: 'nodes' is 2",
        ),
        (CSV.replace("435", "many"), "a.csv", r"a.csv:2: value: expected a number, got 'many'"),
        (CSV + "gpt2, 3\n", "a.csv", r"a.csv:5: found 2 cells, expected 7 as in the header"),
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
    assert "1 row cannot determine 2 parameters" in err
    assert "--overhead" in err
    status, out, _ = call(lone, "--overhead", "0.5 ms", "--compute", "75 GFLOP/s")
    assert status == 0
    assert "75 GFLOP/s" in out
    status, _, err = call(lone, "--overhead", "0.5")
    assert status == 2
    assert "--overhead" in err

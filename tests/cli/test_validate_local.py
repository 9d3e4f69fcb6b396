"""`edgesim validate local` as a command: what it shows and writes, its exit status, and how it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from edgesim.validate.local import running
from edgesim.validate.local.comparing import compare
from edgesim.validate.local.figures import Figures
from edgesim.validate.local.running import Plan, SettingResult, ShapeResult
from edgesim.validate.local.settings import Setting
from edgesim.validate.local.shapes import shape_named

REAL = Figures(ttft_s=0.1, tpot_s=0.02, tokens_per_s=50.0)
PERFECT = ShapeResult(
    shape=shape_named("tiny"),
    settings=[
        SettingResult(
            setting=Setting(kind="single"),
            comparisons=compare([REAL] * 3, [replace(REAL, tpot_s=0.0202)] * 3, 0.02),
        )
    ],
    has_equal_ids=True,
    logits_error=1e-6,
    communications=[],
    losses=[],
    groups=[],
    profiles=[],
)
SLOW = [
    SettingResult(
        setting=Setting(kind="single"),
        comparisons=compare([REAL] * 3, [replace(REAL, tpot_s=0.05)] * 3, 0.02),
    )
]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[ShapeResult]:
    """What the validation comes to, without anything being run."""
    results: list[ShapeResult] = []
    monkeypatch.setattr(running, "validate", lambda shapes, plan, tell: list(shapes) and results)
    return results


def test_results_are_shown_and_written(edgesim, found: list[ShapeResult], tmp_path: Path) -> None:
    found.append(PERFECT)
    said = edgesim("validate", "local", "-o", tmp_path / "all.json", "--table", tmp_path / "all.md")

    assert said.status == 0, said.err
    tpot = next(line for line in said.out.splitlines() if "TPOT" in line)
    assert [word for word in ("20 ms", "20.2 ms", "+1.0 ± 0.0 %", "passed") if word not in tpot] == []
    assert "emitted the same tokens" in said.out
    told = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert told["models"][0]["settings"][0]["figures"][1]["verdict"] == "passed"
    assert told["plan"]["n_repetitions"] == Plan().n_repetitions
    assert {"host", "versions", "measured_at"} <= told.keys()
    assert "| single device | TPOT | 20 ms | 20.2 ms |" in (tmp_path / "all.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("result", "status", "short_status"),
    [
        (PERFECT, 0, 0),
        (replace(PERFECT, settings=SLOW), 1, 1),  # by more than a factor of two
        (replace(PERFECT, settings=SLOW, other_load_cores=1.5), 1, 0),  # which other programs may have done
        (replace(PERFECT, has_equal_ids=False), 1, 1),
        (replace(PERFECT, logits_error=2e-4, other_load_cores=1.5), 1, 1),
    ],
)
def test_the_exit_status_tells(
    edgesim, found: list[ShapeResult], result: ShapeResult, status: int, short_status: int
) -> None:
    found.append(result)
    assert edgesim("validate", "local").status == status
    assert edgesim("validate", "local", "--short").status == short_status


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shape", "gpt2-142m"), "did you mean 'gpt2-124m'"),
        (("--budget", "6"), "--budget"),
        (("-o", "."), "--output: . is a folder"),
    ],
)
def test_what_is_asked_wrongly_is_refused(edgesim, words: tuple[str, ...], message: str) -> None:
    said = edgesim("validate", "local", *words)
    assert said.status == 2
    assert message in said.err


@pytest.mark.slow
def test_an_interrupt_ends_the_workers_too() -> None:
    words = [sys.executable, "-m", "edgesim", "validate", "local", "--shape", "tiny"]
    with subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        children: list[psutil.Process] = []
        while not children:
            assert process.poll() is None
            time.sleep(0.05)
            children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all of them
        assert process.wait(30) == 130
    gone, left = psutil.wait_procs(children, timeout=10)
    assert len(gone) == len(children), left

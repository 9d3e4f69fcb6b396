"""The example of an environment for a decision of one's own runs as it stands, and says what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from edgesim.strategy import Placement, Slice, Stage

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "make-a-decision-an-environment.md"


def test_the_whole_example_runs(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (example,) = [
        block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "TEXT = " in block
    ]
    file = tmp_path / "example.py"
    file.write_text(example, encoding="utf-8")
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "the shorter queue is better: True"


def test_the_strategy_that_can_be_trained_says_what_is_to_be_learned() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (example,) = [
        block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "class Learned" in block
    ]
    there: dict[str, Any] = {}
    exec(compile(example.replace("from __future__", "#"), str(PAGE), "exec"), there)
    strategy = there["Learned"]()
    placement = Placement((Stage("near", Slice(0, 1)), Stage("far", Slice(0, 1))))
    training = strategy.training(placement, None, None)
    assert strategy.needs_training
    assert training.observations == ("work of near [s]", "work of far [s]")
    assert not strategy.with_policy(PAGE).needs_training

#!/usr/bin/env python3
"""Measure what tokens that leave early do to generated text, as it ships with edgesim.

    scripts/measure_bundled_generation.py [--only-prompts]

Writes exit_paths.parquet, free_running.parquet and impaired_exits.parquet into edgesim/data/bundled, as
`edgesim quality bundled --generation --refresh` measures them; in half an hour on two busy cores. Also
prints what propagation loses after prompts of several lengths, read in all blocks.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from edgesim.measure.generation.exit_paths import teacher_forced
from edgesim.measure.generation.generation_cache import ensure_generation
from edgesim.measure.language_model import load_language_model
from edgesim.measure.model_folder import BUNDLED, model_folder
from edgesim.measure.text import read_text, windows
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_records import standard_error
from edgesim.model.answers.exit_rule import ExitRule

LENGTH, JUDGED = 256, 128  # tokens of a window, and how many at its end are judged
PROMPTS = (0, 64, 129)  # the last makes all of what comes before the judged tokens a prompt


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only-prompts", action="store_true", help="leave the shipped files as they are")
    if not parser.parse_args().only_prompts:
        began_s = time.perf_counter()
        ensure_generation(BUNDLED, refresh=True, progress=_told).save(model_folder(BUNDLED))
        print(f"\nmeasured in {time.perf_counter() - began_s:.0f} s")
    print_prompts()


def print_prompts() -> None:
    """Loss of propagation over recomputation on the same tokens, by the length of the prompt."""
    model = load_language_model(BUNDLED)
    cut = windows(model.tokens(read_text(BUNDLED)), LENGTH)
    rule = ExitRule.uniform(0.3, len(model.exit_blocks) + 1)
    (exact,) = teacher_forced(model, cut, [rule], CacheFill.RECOMPUTE)
    for n_prompt in PROMPTS:
        (said,) = teacher_forced(model, cut, [rule], CacheFill.PROPAGATE, n_prompt=n_prompt)
        lost, gained = (
            np.subtract(*(each.reshape(len(cut), -1)[:, -JUDGED:].astype(float) for each in both)).ravel()
            for both in ((said.nll, exact.nll), (said.is_correct, exact.is_correct))
        )
        print(
            f"{rule}, prompt of {n_prompt}: loss {lost.mean():+.4f} ± {standard_error(lost):.4f} nats, "
            f"right {gained.mean():+.3%} ± {standard_error(gained):.3%}"
        )


def _told(done: int, total: int, what: str) -> None:
    print(f"\r{done}/{total} {what:60}", end="", file=sys.stderr)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Measure the answers that ship with edgesim, and levels between them that only the tests see.

    scripts/measure_bundled_answers.py [--only-held-out]

Writes edgesim/data/bundled/quality.parquet and exits.parquet (as `edgesim quality bundled --refresh` measures
them) and tests/unit/model/bundled_held_out.parquet, with model, text, seed and tokens the same.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

from edgesim.measure.answer_quality import measure_answers
from edgesim.measure.language_model import load_language_model
from edgesim.measure.model_folder import BUNDLED, model_folder
from edgesim.measure.quality_cache import (
    DEFAULT_SEED,
    DEFAULT_TOKENS,
    EXITS_FILE,
    TABLE_FILE,
    ensure_answers,
)
from edgesim.measure.text import read_text
from edgesim.model.answers.impaired_answers import QualityTable
from edgesim.model.answers.impairment import (
    AllReduceNoise,
    DeviceNoise,
    Erasure,
    FadedNoise,
    Impairment,
    Quantised,
)

HELD_OUT = Path(__file__).parents[1] / "tests" / "unit" / "model" / "bundled_held_out.parquet"

LEVELS: tuple[Impairment, ...] = (
    *(AllReduceNoise(nmse) for nmse in (3e-4, 0.03, 0.15, 0.32, 0.68)),
    *(DeviceNoise(nmse, n) for n in (2, 3, 4, 8) for nmse in (0.03, 0.3, 0.68)),
    *(FadedNoise(nmse, m) for m in (1, 2) for nmse in (0.02, 0.2, 0.32, 0.68)),
    *(Quantised(bits, n) for bits, n in ((7, 1), (7, 4), (3, 3), (4, 5), (2, 3), (2, 5))),
    *(Erasure(p, block) for block in (2, 6) for p in (0.07, 0.25)),
    *(Erasure(p, block, unit="packet") for block in (1, 4, 7) for p in (0.15, 0.25)),
    *(Erasure(0.15, block, is_rescaled=True) for block in (1, 2, 4, 6, 7)),
)
"""Midway between the grid's, where interpolation is worst; also numbers of devices and splits it lacks."""


def main() -> None:
    """Measure, write, and print how far off interpolation is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only-held-out", action="store_true", help="leave the shipped files as they are")
    folder, began_s = model_folder(BUNDLED), time.perf_counter()
    if parser.parse_args().only_held_out:
        table = QualityTable.load(folder / TABLE_FILE)
    else:
        answers = ensure_answers(BUNDLED, refresh=True, progress=_told)
        table = answers.table
        table.save(folder / TABLE_FILE)
        answers.exits.save(folder / EXITS_FILE)
        print(f"\nmeasured {len(table.rows)} rows in {time.perf_counter() - began_s:.0f} s")
    measured = {(row.name, row.level, row.block, row.n_devices) for row in table.rows}
    apart = [
        level for level in LEVELS if (level.name, level.level, level.block, level.n_devices) not in measured
    ]
    model, text = load_language_model(BUNDLED), read_text(BUNDLED)
    rows = measure_answers(model, text, apart, n_tokens=DEFAULT_TOKENS, seed=DEFAULT_SEED, progress=_told)
    provenance = {**table.provenance, "model_sha256": model.digest, "text_sha256": text.digest}
    QualityTable(tuple(rows), provenance).save(HELD_OUT)
    print()
    for level, row in zip(apart, rows[1:], strict=True):
        error = table.answers(level).perplexity / math.exp(row.nll) - 1
        print(f"{row.name:18} {row.level:<7g} block {row.block} devices {row.n_devices}: {error:+.2%}")


def _told(done: int, total: int, what: str) -> None:
    print(f"\r{done}/{total} {what:60}", end="", file=sys.stderr)


if __name__ == "__main__":
    main()

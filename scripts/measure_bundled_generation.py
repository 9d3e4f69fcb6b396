#!/usr/bin/env python3
"""Measure what tokens that leave early do to generated text, as it ships with edgesim.

    scripts/measure_bundled_generation.py

Writes exit_paths.parquet, free_running.parquet and impaired_exits.parquet into edgesim/data/bundled, as
`edgesim quality bundled --generation --refresh` measures them; in a quarter of an hour on two cores.
"""

from __future__ import annotations

import sys
import time

from edgesim.measure.generation_cache import ensure_generation
from edgesim.measure.model_folder import BUNDLED, model_folder


def main() -> None:
    """Measure and write."""
    began_s = time.perf_counter()
    ensure_generation(BUNDLED, refresh=True, progress=_told).save(model_folder(BUNDLED))
    print(f"\nmeasured in {time.perf_counter() - began_s:.0f} s")


def _told(done: int, total: int, what: str) -> None:
    print(f"\r{done}/{total} {what:60}", end="", file=sys.stderr)


if __name__ == "__main__":
    main()

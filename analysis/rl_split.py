"""Print what requests were worth under each way of choosing the cut, and the regret to the oracle.

    python analysis/rl_split.py traces/rl-split
    python analysis/rl_split.py traces/rl-split -o front.pdf
    python analysis/rl_split.py traces/rl-split --training training.json --surrogate surrogate.json -o all.pdf

`--training` takes what benchmarks/rl_split_training.py writes, `--surrogate` what
benchmarks/rl_split_surrogate.py does.

Utilities are :class:`edgesim.planning.splitting.utility.Utility` of the requests table, with the weights of
`--quality`, `--latency` and `--energy`; quality counts from the best mean log likelihood of any strategy.
Differences are paired by replication, the same requests under both; intervals are Student's, 95 %. A fixed
cut is best in hindsight that has the best mean over all replications.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edgesim.errors import InputError
from edgesim.planning.splitting.utility import Utility
from edgesim.report.plots.provenance import Provenance
from edgesim.report.plots.saving import save
from edgesim.report.plots.split_choice import clean_nll, draw_choice, utilities, utility_table
from edgesim.trace.reader import Trace


def read(file: Path | None) -> Any:
    """What a benchmark wrote; None without a file."""
    try:
        return None if file is None else json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read ({error}); expected what a benchmark wrote") from None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace", type=Path, help="folder that `edgesim run rl_split` wrote")
    parser.add_argument("-o", "--out", type=Path, help="draw regret, delay, quality and energy")
    parser.add_argument("--training", type=Path, help="draw how a policy learned, and what it chooses")
    parser.add_argument("--surrogate", type=Path, help="draw evaluations with and without surrogate")
    for name, weight in (("quality", 1.0), ("latency", 0.2), ("energy", 0.02)):
        parser.add_argument(
            f"--{name}", type=float, default=weight, help=f"its weight; {weight} if not given"
        )
    given = parser.parse_args()
    trace = Trace(given.trace).complete()
    weights = Utility(
        quality=given.quality,
        latency_per_s=given.latency,
        energy_per_j=given.energy,
        failure=10.0 * given.latency + given.quality,
        clean_nll=clean_nll(trace),
    )
    worth = utilities(trace, weights)
    print(utility_table(worth))
    if given.out:
        figure = draw_choice(trace, worth, training=read(given.training), surrogate=read(given.surrogate))
        save(figure, given.out, Provenance.of([(trace.path, trace.run)]))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)

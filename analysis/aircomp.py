"""Draw time per token, its parts, perplexity and error against the number of devices, from a trace alone.

    python analysis/aircomp.py traces/aircomp-llama2 -o docs/images/aircomp_llama2.png

Any trace will do whose strategies are `tensor_parallel` groups of several sizes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgesim.errors import InputError
from edgesim.report.plots.group_sums import draw_sums, factors, sum_rows
from edgesim.report.plots.provenance import Provenance
from edgesim.report.plots.saving import save
from edgesim.statistics.sum_errors import sum_errors
from edgesim.trace.reader import Trace


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace", type=Path, help="folder that `edgesim run` wrote")
    parser.add_argument("-o", "--output", type=Path, default=Path("aircomp.pdf"), help="file of the figure")
    asked = parser.parse_args()
    trace = Trace(asked.trace).complete()
    table = sum_rows(trace)
    print(table.to_string(index=False, float_format="%.4g"))
    print(factors(table).to_string(float_format="%.2f"))
    print(*sum_errors(trace), sep="\n")
    save(draw_sums(table), asked.output, Provenance.of([(trace.path, trace.run)]))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)

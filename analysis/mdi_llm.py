"""Print and draw tokens per second of MDI-LLM's ring from traces alone, where the rate is steady.

    python analysis/mdi_llm.py traces/mdi-nanollama -o mdi_llm.pdf

The steady rate is taken from the 500th to the 2000th token over all samples, as it was read off the published
curves (docs/scenarios/mdi_nanollama.md); a line's slope is its rate.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgesim.errors import InputError
from edgesim.report.listings.open_folders import labelled
from edgesim.report.plots.provenance import Provenance
from edgesim.report.plots.rates import draw_rates, rate_rows
from edgesim.report.plots.saving import save
from edgesim.trace.reader import Trace


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("traces", type=Path, nargs="+", help="folders that `edgesim run mdi_nanollama` wrote")
    parser.add_argument("--first", type=int, default=500, help="token from which on the rate is steady")
    parser.add_argument("--last", type=int, default=2000, help="token up to which it is taken")
    parser.add_argument("-o", "--output", type=Path, default=Path("mdi_llm.pdf"), help="file of the figure")
    asked = parser.parse_args()
    found = labelled(asked.traces)
    traces = {label: one.complete() for label, one in found.items() if isinstance(one, Trace)}
    if len(traces) < len(found):
        raise InputError("a sweep among the folders; expected traces")
    print(rate_rows(traces, asked.first, asked.last).to_string(index=False, float_format="%.4g"))
    save(draw_rates(traces), asked.output, Provenance.of((one.path, one.run) for one in traces.values()))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)

"""Draw how long answers took and where the time went, per strategy, from a trace alone.

    python analysis/latency.py traces/smart-city -o docs/images/smart_city.png

The share of requests between warm-up and horizon that were answered within a time, into the file named, and
the mean of each activity in it (edgesim.statistics.activities), into one beside it whose name ends in -parts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgesim.errors import InputError
from edgesim.report.plots.distribution import distribution
from edgesim.report.plots.parts import parts
from edgesim.report.plots.provenance import Provenance
from edgesim.report.plots.saving import save
from edgesim.trace.reader import Trace


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("latency.pdf"))
    asked = parser.parse_args()
    trace = Trace(asked.trace).complete()
    source = Provenance.of([(trace.path, trace.run)])
    beside = asked.output.with_name(f"{asked.output.stem}-parts{asked.output.suffix}")
    print(save(distribution({trace.path.name: trace}, width="page"), asked.output, source))
    print(save(parts(trace), beside, source))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)

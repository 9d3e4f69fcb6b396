"""Draw delay against load, heterogeneity and time, against accuracy, and what control costs, from traces.

    python analysis/dto_ee.py --loads traces/dto-ee-* --dynamic traces/dto-ee-dynamic -o figure.pdf

`--fronts` takes traces that differ in the price of errors, `--unlike` traces whose servers are more and less
alike. Each of the four may be left out. Loads and heterogeneity are read from the traces: tasks per second
that arrive, and by how much servers of a stage differ in their mean time of a pass (coefficient of variation,
mean of stages). Tasks that were never answered count with the time they had waited by the end of the run, so
that overloaded strategies' delays are lower bounds: means beyond 0.4 s are not drawn.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgesim.errors import InputError
from edgesim.report.plots.offloading import draw_offloading, task_rows
from edgesim.report.plots.provenance import Provenance
from edgesim.report.plots.saving import save
from edgesim.trace.reader import Trace

SETS = {
    "loads": "traces at several arrival rates",
    "fronts": "traces with several prices of errors",
    "unlike": "traces with more and less alike servers",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, said in SETS.items():
        parser.add_argument(f"--{name}", type=Path, nargs="+", default=[], help=said)
    parser.add_argument("--dynamic", type=Path, help="trace of a world that changes")
    parser.add_argument("-o", "--output", type=Path, default=Path("dto_ee.pdf"), help="file of the figure")
    asked = parser.parse_args()
    sets = {name: [Trace(path).complete() for path in getattr(asked, name)] for name in SETS}
    dynamic = None if asked.dynamic is None else Trace(asked.dynamic).complete()
    traces = [trace for each in sets.values() for trace in each] + ([dynamic] if dynamic else [])
    if not traces:
        parser.error("give traces: --loads, --fronts, --unlike or --dynamic")
    tables = {name: task_rows(each) for name, each in sets.items() if each}
    for table in tables.values():
        print(table.to_string(index=False, float_format="%.4g"))
    figure = draw_offloading(**tables, dynamic=dynamic)
    save(figure, asked.output, Provenance.of((trace.path, trace.run) for trace in traces))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)

"""Draw the error of sums over the air against energy, antennas and unlike devices, from traces alone.

    python analysis/aircomp_error.py --energy traces/energy-* --antennas traces/antennas-* \
        --active traces/active-* -o docs/images/aircomp_error.png

Traces of `aircomp_llama2` with other values of `energy` or of the station's antennas, and of
`aircomp_assignment` with other powers of its thirsty devices (docs/scenarios/aircomp.md has the commands).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from edgesim.errors import InputError
from edgesim.report.plots.provenance import Provenance
from edgesim.report.plots.saving import save
from edgesim.report.plots.sum_error_panels import draw_error_panels, error_rows
from edgesim.report.plots.swept_traces import scenario_value
from edgesim.trace.reader import Trace
from edgesim.units import POWER, parse


def energy_uj(trace: Trace) -> float:
    return 1e6 * max(float(options.get("energy") or 0.0) for options in trace.run["options"].values())


def antennas(trace: Trace) -> float:
    return float(str(scenario_value(trace, "topology.links.0.over_the_air.antennas.station")))


def active_ratio(trace: Trace) -> float:
    stated = [str(scenario_value(trace, f"kinds.{kind}.power.active")) for kind in ("thirsty", "frugal")]
    thirsty, frugal = (json.loads(text)["value"] if text.startswith("{") else text for text in stated)
    return parse(thirsty, POWER) / parse(frugal, POWER)


PANELS = {
    "energy": ("energy per sum, uJ", energy_uj),
    "antennas": ("antennas of the station", antennas),
    "active": ("energy of computing,\nthirsty over frugal", active_ratio),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, (label, _) in PANELS.items():
        parser.add_argument(f"--{name}", type=Path, nargs="+", help=f"traces for the panel over {label}")
    parser.add_argument("-o", "--output", type=Path, default=Path("aircomp_error.pdf"), help="the figure")
    asked = parser.parse_args()
    given = {name: [Trace(path).complete() for path in getattr(asked, name) or ()] for name in PANELS}
    if not any(given.values()):
        parser.error("give traces for a panel: --energy, --antennas or --active")
    tables = {}
    for name, (label, x) in PANELS.items():
        if given[name]:
            tables[label] = table = error_rows([(x(trace), trace) for trace in given[name]])
            print(table.pivot_table(index="x", columns="strategy", values="error").to_string())
            for why in filter(None, table["why_no_mean"].unique()):
                print(f"medians, for there is no mean: {why}")
    sources = ((trace.path, trace.run) for each in given.values() for trace in each)
    save(draw_error_panels(tables), asked.output, Provenance.of(sources))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)

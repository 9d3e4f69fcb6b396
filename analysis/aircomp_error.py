"""Draw the error of sums over the air against energy, antennas and unlike devices, from traces alone.

    python analysis/aircomp_error.py --energy traces/energy-* --antennas traces/antennas-* \
        --active traces/active-* -o docs/images/aircomp_error.png

Traces of `aircomp_llama2` with other values of `energy` or of the station's antennas, and of
`aircomp_assignment` with other powers of its thirsty devices (docs/scenarios/aircomp.md has the commands).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot as plt
from pint import UnitRegistry
from ruamel.yaml import YAML

from edgesim.statistics.sum_errors import sum_errors
from edgesim.trace.reader import Trace


def energy_uj(trace: Trace, strategy: str) -> float:
    return 1e6 * float(trace.run["options"][strategy]["energy"])


def antennas(trace: Trace, strategy: str) -> float:
    return float(scenario(trace)["topology"]["links"][0]["over_the_air"]["antennas"]["station"])


def active_ratio(trace: Trace, strategy: str) -> float:
    kinds = scenario(trace)["kinds"]
    told = (kinds[kind]["power"]["active"] for kind in ("thirsty", "frugal"))
    units = UnitRegistry()
    thirsty, frugal = (units(each if isinstance(each, str) else each["value"]) for each in told)
    return float((thirsty / frugal).to("").magnitude)


def scenario(trace: Trace) -> dict[str, Any]:
    told: dict[str, Any] = YAML(typ="safe").load(trace.run["scenario"]["text"])
    return told


def rows(folders: Sequence[Path], x: Callable[[Trace, str], float]) -> pd.DataFrame:
    """One row per trace and strategy: x, and the median error over requests, which always exists."""
    found = [
        (each.strategy, x(trace, each.strategy), each.estimate.median, each.why)
        for trace in map(Trace, folders)
        for each in sum_errors(trace)
    ]
    return pd.DataFrame(found, columns=["strategy", "x", "error", "why_no_mean"]).sort_values(
        ["strategy", "x"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    panels = {
        "energy": ("energy of a member per sum, uJ", energy_uj, "log"),
        "antennas": ("antennas of the station", antennas, "linear"),
        "active": ("energy of computing, thirsty over frugal", active_ratio, "linear"),
    }
    for name, (label, _, _) in panels.items():
        parser.add_argument(f"--{name}", type=Path, nargs="+", help=f"traces for the panel over {label}")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("aircomp_error.png"), help="file of the figure"
    )
    options = parser.parse_args()
    asked = [name for name in panels if getattr(options, name)]
    if not asked:
        parser.error("give traces for a panel: --energy, --antennas or --active")
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(
        1, len(asked), figsize=(3.4 * len(asked), 3.0), layout="constrained", squeeze=False
    )
    for name, panel in zip(asked, axes[0], strict=True):
        label, x, scale = panels[name]
        table = rows(getattr(options, name), x)
        print(table.pivot(index="x", columns="strategy", values="error").to_string(float_format="%.4g"))
        for strategy, own in table.groupby("strategy", sort=False):
            panel.plot(own["x"], own["error"], marker="o", ms=4, label=strategy)
        panel.set(xlabel=label, xscale=scale, yscale="log")
        panel.grid(alpha=0.25)
        panel.legend(frameon=False)
        for why in filter(None, table["why_no_mean"].unique()):
            print(f"medians, for there is no mean: {why}")
    axes[0][0].set_ylabel("median error of a sum, normalised")
    figure.savefig(options.output, dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()

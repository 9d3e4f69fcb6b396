"""Draw the pictures of docs/gallery.md from a trace of smart_city and a sweep of first_steps.

Such as these:

    edgesim run smart_city --set profile=reference --out traces/smart-city
    edgesim sweep first_steps --set profile=analytic --set workload.arrivals.poisson='0.5 Hz,1 Hz,2 Hz,4 Hz'
    python docs/make_gallery.py traces/smart-city sweeps/first-steps
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgesim.errors import InputError
from edgesim.report.listings.open_folders import opened
from edgesim.report.plots.figure_request import FigureRequest, drawn
from edgesim.report.plots.provenance import Provenance
from edgesim.report.plots.saving import save
from edgesim.trace.reader import Trace

HOME = Path(__file__).parent / "images" / "gallery"
OF_TRACE = (
    FigureRequest(kind="distribution"),
    FigureRequest(kind="bars", width="page"),
    FigureRequest(kind="front"),
    FigureRequest(kind="parts"),
    FigureRequest(kind="timeline", strategies=("aircomp",)),
    FigureRequest(kind="series", strategies=("pipeline",)),
    FigureRequest(kind="map", strategies=("aircomp",), width="page"),
)
OF_SWEEP = (FigureRequest(kind="lines"),)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace", type=Path)
    parser.add_argument("sweep", type=Path)
    given = parser.parse_args()
    for folder, pictures in ((given.trace, OF_TRACE), (given.sweep, OF_SWEEP)):
        source = opened(folder)
        record = source.run if isinstance(source, Trace) else source.record
        for asked in pictures:
            figure = drawn({folder.name: source}, asked)
            print(save(figure, HOME / f"{asked.kind}.png", Provenance.of([(folder, record)])))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)

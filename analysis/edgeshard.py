"""Print and draw time per token and tokens per second of EdgeShard's ways, from traces alone.

    python analysis/edgeshard.py traces/edgeshard -o edgeshard.pdf

Several traces, as of models or of links to the cloud, stand side by side. One request alone gives the
published milliseconds per token, sixteen at once the tokens per second (docs/scenarios/edgeshard.md).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edgesim.errors import InputError
from edgesim.report.listings.listing import together
from edgesim.report.listings.listing_text import as_markdown
from edgesim.report.listings.open_folders import labelled
from edgesim.report.plots.bars import bars
from edgesim.report.plots.provenance import Provenance
from edgesim.report.plots.saving import save
from edgesim.trace.reader import Trace

METRICS = ("tpot_p50_s", "output_tokens_per_s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("traces", type=Path, nargs="+", help="folders that `edgesim run edgeshard` wrote")
    parser.add_argument("-o", "--output", type=Path, default=Path("edgeshard.pdf"), help="the figure")
    found = labelled(parser.parse_args().traces)
    listing = together(found)
    print(as_markdown(listing, METRICS), end="")
    sources = ((one.path, one.run if isinstance(one, Trace) else one.record) for one in found.values())
    save(bars(listing, METRICS, width="page"), parser.parse_args().output, Provenance.of(sources))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)

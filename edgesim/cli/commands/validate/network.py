"""Command that compares the engine's network with closed forms and with ns-3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from edgesim.cli.options import Quiet
from edgesim.cli.terminal import Console, console, plain_table
from edgesim.errors import InputError
from edgesim.report.progress import counting

if TYPE_CHECKING:
    from edgesim.validate.network.estimates import TheoryComparison

__all__ = ["network"]

_STYLES = {"agrees": "green", "misses": "bold red", "too noisy": "yellow"}

_SHORT = 0.1


def network(
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Compare with shipped results of ns-3, without running it.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the results of ns-3 to a file, in the shipped format."),
    ] = None,
    short: Annotated[
        bool,
        typer.Option(
            "--short", help="Simulate a tenth of the time (1 min); intervals are three times as wide."
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Compare queueing, radio and Wi-Fi with closed forms and, if it is installed, with ns-3.

    Mean delays of queues, channel capacities and throughputs of saturated Wi-Fi are compared with closed
    forms. Then the same Wi-Fi cells and chains of wires are run in ns-3, by programs shipped with edgesim
    that are compiled into a temporary folder. Without ns-3, a note replaces the second part. The exit status
    is 1 if a difference exceeds its limit.
    """
    from edgesim.validate.network.queue_theory import queue_comparisons
    from edgesim.validate.network.radio_theory import radio_comparisons
    from edgesim.validate.network.wifi_theory import wifi_theory_comparisons

    if recorded and record is not None:
        raise InputError("edgesim validate network: found --recorded and --record; give only one of them")
    notes = Console(stderr=True, quiet=quiet)
    scale = _SHORT if short else 1.0
    found = [
        *_shown("queues", queue_comparisons(int(6000 * scale))),
        *_shown("radio", radio_comparisons(int(2000 * scale))),
        *_shown("saturated Wi-Fi, closed forms", wifi_theory_comparisons(3.0 * scale)),
        *_beside_ns3(notes, scale, recorded=recorded, record=record),
    ]
    missed = [one.what for one in found if one.verdict == "misses"]
    if missed:
        notes.print(f"missed: {'; '.join(missed)}", style="red", markup=False)
        raise typer.Exit(1)


def _beside_ns3(
    notes: Console, scale: float, *, recorded: bool, record: Path | None
) -> list[TheoryComparison]:
    from edgesim.validate.network.against_ns3 import compare_tandems, compare_wifi
    from edgesim.validate.network.ns3_tools import INSTALL, find_ns3
    from edgesim.validate.network.records import Records, shipped_records
    from edgesim.validate.network.tandem import tandems
    from edgesim.validate.network.wifi_cases import wifi_cases

    cases, rows = [replace(case, seconds=scale * case.seconds) for case in wifi_cases()], tandems()
    ns3 = None if recorded else find_ns3()
    if isinstance(ns3, str):
        said = f"no comparison with ns-3: {ns3}; install it ({INSTALL}), or compare with --recorded figures"
        if record is not None:
            raise InputError(f"edgesim validate network --record: {said}")
        console().print(f"\n{said}", markup=False)
        return []
    with counting(notes, 2 * len(cases) + len(rows)) as report:
        records = shipped_records() if ns3 is None else Records.measure(ns3, cases, rows, report)
        wires = compare_tandems(records, rows)
        wifi = compare_wifi(records, cases, report)
    if record is not None:
        record.write_text(records.text(), encoding="utf-8")
    made_by = records.provenance["simulator"]
    return [*_shown(f"wires, {made_by}", wires), *_shown(f"saturated Wi-Fi, {made_by}", wifi)]


def _shown(title: str, comparisons: Sequence[TheoryComparison]) -> Sequence[TheoryComparison]:
    """Print a table of comparisons, and return the comparisons."""
    table = plain_table(title, "edgesim", "truth", "difference %", "limit %", "")
    for one in comparisons:
        table.add_row(
            one.what,
            f"{one.ours.mean:.6g}",
            f"{one.truth.mean:.6g}",
            f"{100 * one.difference:+.2f} ± {100 * one.half_width:.2f}",
            f"{100 * one.limit:.2g}",
            Text(one.verdict, style=_STYLES[one.verdict]),
        )
    console().print(table)
    return comparisons

"""Recorded results of ns-3 in a small file, with which the engine is compared where ns-3 is not installed."""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Self, TypeVar

from edgesim.errors import InputError
from edgesim.validate.network.estimates import SampledMean, exactly, mean_of
from edgesim.validate.network.ns3_tools import Ns3
from edgesim.validate.network.ns3_wifi import frames_in_ns3
from edgesim.validate.network.tandem import Journeys, Tandem, delays_in_ns3
from edgesim.validate.network.wifi_cases import WifiCase

__all__ = ["N_BATCHES", "Announce", "Records", "shipped_records"]

N_BATCHES = 10
_T = TypeVar("_T")

Announce = Callable[[str], None]
"""Called with the name of each case before it is simulated."""


@dataclass(frozen=True)
class Records:
    """Results of ns-3, by the names of cases.

    Parameters
    ----------
    provenance
        The simulator, versions and date.
    frames_per_s
        Results of saturated Wi-Fi cells.
    delays_s
        Mean delays of each flow of wired tandems.
    """

    provenance: Mapping[str, str]
    frames_per_s: Mapping[str, SampledMean]
    delays_s: Mapping[str, tuple[float, ...]]

    @classmethod
    def measure(cls, ns3: Ns3, cells: Sequence[WifiCase], rows: Sequence[Tandem], announce: Announce) -> Self:
        """Run ns-3 for all cases, one after the other."""
        frames: dict[str, SampledMean] = {}
        delays: dict[str, tuple[float, ...]] = {}
        with tempfile.TemporaryDirectory(prefix="edgesim-ns3-") as folder:
            wifi, tandem = (ns3.compile(program, Path(folder)) for program in ("wifi", "tandem"))
            for row in rows:
                announce(row.name)
                journeys = Journeys.of(row)
                delays_s = delays_in_ns3(ns3, tandem, row, journeys)
                delays[row.name] = journeys.means(delays_s)
            for cell in cells:
                announce(cell.name)
                batch_s = cell.seconds / N_BATCHES
                counts = frames_in_ns3(ns3, wifi, cell, n_batches=N_BATCHES, batch_s=batch_s)
                frames[cell.name] = mean_of([count / batch_s for count in counts])
        provenance = {
            "simulator": f"ns-3 {ns3.version}",
            "edgesim": version("edgesim"),
            "system": platform.platform(),
            "made_on": datetime.now(UTC).date().isoformat(),
            "made_by": "edgesim validate network --record",
        }
        return cls(provenance, frames, delays)

    def wifi(self, case: WifiCase) -> SampledMean:
        """Return the frames per second of a cell."""
        return self._of(self.frames_per_s, case.name)

    def row(self, tandem: Tandem) -> list[SampledMean]:
        """Return the mean delay of each flow [s], as exact: both simulators have the same packets."""
        return [exactly(delay_s) for delay_s in self._of(self.delays_s, tandem.name)]

    def text(self) -> str:
        """Return the records as the text of a JSON file."""
        stored = {
            "provenance": dict(self.provenance),
            "frames_per_s": {
                name: {"mean": round(one.mean, 3), "half_width": round(one.half_width, 3)}
                for name, one in self.frames_per_s.items()
            },
            "delays_s": {name: list(delays_s) for name, delays_s in self.delays_s.items()},
        }
        return json.dumps(stored, indent=2) + "\n"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read the text that :meth:`text` wrote."""
        stored = json.loads(text)
        frames = {
            name: SampledMean(one["mean"], one["half_width"]) for name, one in stored["frames_per_s"].items()
        }
        delays = {name: tuple(delays_s) for name, delays_s in stored["delays_s"].items()}
        return cls(stored["provenance"], frames, delays)

    @staticmethod
    def _of(known: Mapping[str, _T], name: str) -> _T:
        if name not in known:
            raise InputError(
                f"ns-3's records: there is no case {name!r}; they contain other cases than this version's: "
                "record them again with 'edgesim validate network --record FILE'"
            )
        return known[name]


def shipped_records() -> Records:
    """Return the records shipped with edgesim."""
    return Records.read((files("edgesim.validate.network") / "ns3" / "records.json").read_text("utf-8"))

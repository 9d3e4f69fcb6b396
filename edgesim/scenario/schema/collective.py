"""What a radio link offers to those who sum tensors over it, as a scenario says it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from edgesim.fields import Decibels, Hertz, PositiveSeconds, refuse
from edgesim.scenario.text.section import Section

__all__ = ["Antennas", "CollectiveEntry", "SynchronisationEntry"]

Antenna = Annotated[int, Field(strict=True, ge=1, le=1024)]


class Antennas(Section):
    """Sizes of the two arrays."""

    station: Antenna = 20
    """Of the second group in `between`."""
    terminal: Antenna = 4
    """Of the first group."""


class SynchronisationEntry(Section):
    """Errors of terminals that send together, each independent of the others'."""

    phase: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Standard deviation of the phase at which a terminal arrives, in radians."""
    timing: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest shift of a terminal's symbols, in symbols; uniform between that before and after."""


class CollectiveEntry(Section):
    """A band set aside for sums over groups of terminals, and the antennas that it is used with.

    Path loss, shadowing, powers and noise figures are the link's. Small-scale fading is that of matrices with
    independent Rician or Rayleigh entries, constant for a coherence time and then drawn anew.
    """

    bandwidth_hz: Hertz | None = Field(default=None, alias="bandwidth")
    """Its width; the radio's whole band if not given."""
    antennas: Antennas = Antennas()
    """Sizes of the arrays."""
    streams: Antenna | None = None
    """Values sent at once, in one channel use; as many as the smaller array has antennas if not given."""
    rician_k_db: Decibels | None = Field(default=None, alias="rician_k")
    """Power of the direct path over the scattered ones; Rayleigh fading if not given."""
    coherence_s: PositiveSeconds | None = Field(default=None, alias="coherence")
    """How long channels stay as they are; by default what the link's fading and carrier say."""
    lost_share: Annotated[float, Field(ge=0, lt=1, alias="overhead")] = 0.0
    """Of analog sums: share of band and time that goes to guard bands, pilots and control. Digital ones have
    their radio's."""
    csi_error: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of analog sums: how much of the scattered part an estimate misses, from 0 (nothing) to 1 (all)."""
    synchronisation: SynchronisationEntry = SynchronisationEntry()
    """Of analog sums: how far terminals are from sending in step; perfectly if not given."""

    @property
    def n_streams(self) -> int:
        """Streams, whoever said how many."""
        return self.streams or min(self.antennas.station, self.antennas.terminal)

    @property
    def band(self) -> CollectiveEntry:
        """What all links of a station must agree on: all but the direct path's part."""
        return self.model_copy(update={"rician_k_db": None})

    @model_validator(mode="after")
    def _computable(self) -> CollectiveEntry:
        if self.rician_k_db is not None and not -200 <= self.rician_k_db <= 100:
            refuse(f"'rician_k' is {self.rician_k_db:g} dB; expected -200 dB to 100 dB")
        if self.coherence_s is not None and self.coherence_s < 1e-9:
            refuse(f"'coherence' is {self.coherence_s:g} s; expected a nanosecond or more")
        return self

    @model_validator(mode="after")
    def _separable(self) -> CollectiveEntry:
        most = min(self.antennas.station, self.antennas.terminal)
        if self.n_streams > most:
            refuse(f"{self.n_streams} streams need as many antennas at both ends; expected 1 to {most}")
        return self

"""Scenario section of collective sums over a radio link."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from edgesim.fields import Decibels, Hertz, PositiveSeconds, refuse
from edgesim.scenario.text.section import Section

__all__ = ["Antennas", "CollectiveEntry", "SynchronisationEntry"]

Antenna = Annotated[int, Field(strict=True, ge=1, le=1024)]


class Antennas(Section):
    """Number of antennas at both ends."""

    station: Antenna = 20
    """Antennas of each device in the second group of `between`."""
    terminal: Antenna = 4
    """Antennas of each device in the first group of `between`."""


class SynchronisationEntry(Section):
    """Synchronisation errors of terminals that send simultaneously, independent between terminals."""

    phase: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Standard deviation of the phase error of a terminal's received signal, in radians."""
    timing: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest time shift of a terminal's symbols, in symbols; uniform between that much early and late."""


class CollectiveEntry(Section):
    """A band reserved for sums over groups of terminals, and the antenna arrays.

    Path loss, shadowing, powers and noise figures are the link's. Small-scale fading is a channel matrix with
    independent Rician or Rayleigh entries, constant for a coherence time and then drawn again.
    """

    bandwidth_hz: Hertz | None = Field(default=None, alias="bandwidth")
    """Width of the band; by default the radio's whole bandwidth."""
    antennas: Antennas = Antennas()
    """Number of antennas at both ends."""
    streams: Antenna | None = None
    """Values sent in one channel use (spatial streams); by default the number of antennas of the smaller
    array."""
    rician_k_db: Decibels | None = Field(default=None, alias="rician_k")
    """K-factor: power of the direct path over that of the scattered paths; by default Rayleigh fading."""
    coherence_s: PositiveSeconds | None = Field(default=None, alias="coherence")
    """Coherence time of the channels; by default computed from the link's fading and carrier."""
    lost_share: Annotated[float, Field(ge=0, lt=1, alias="overhead")] = 0.0
    """Of analog sums: share of band and time taken by guard bands, pilots and control. Digital sums use the
    radio's overhead."""
    csi_error: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of analog sums: share of the scattered part that a channel estimate misses, from 0 (none) to 1
    (all)."""
    synchronisation: SynchronisationEntry = SynchronisationEntry()
    """Of analog sums: synchronisation errors between terminals; none by default."""

    @property
    def n_streams(self) -> int:
        """Number of streams, given or by default."""
        return self.streams or min(self.antennas.station, self.antennas.terminal)

    @property
    def band(self) -> CollectiveEntry:
        """The section without the K-factor: the part that all links of a station must agree on."""
        return self.model_copy(update={"rician_k_db": None})

    @model_validator(mode="after")
    def _computable(self) -> CollectiveEntry:
        if self.rician_k_db is not None and not -200 <= self.rician_k_db <= 100:
            refuse(f"'rician_k' is {self.rician_k_db:g} dB; expected -200 dB to 100 dB")
        if self.coherence_s is not None and self.coherence_s < 1e-9:
            refuse(f"'coherence' is {self.coherence_s:g} s; expected 1e-9 s or more")
        return self

    @model_validator(mode="after")
    def _separable(self) -> CollectiveEntry:
        most = min(self.antennas.station, self.antennas.terminal)
        if self.n_streams > most:
            refuse(f"'streams' is {self.n_streams}; expected 1 to {most}, the antennas of the smaller array")
        return self

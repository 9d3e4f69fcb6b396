"""Schema of the catalogue's radios: figures with their sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgesim.entry_names import EntryName
from edgesim.fields import (
    DecibelsIsotropic,
    DecibelsMilliwatt,
    Hertz,
    NonNegativeDecibels,
    PositiveMetres,
    Seconds,
    refuse,
)
from edgesim.radio.radio_link import Transceiver
from edgesim.scenario.schema.device_kinds import Figure
from edgesim.scenario.schema.link_rate import LINK_RATES
from edgesim.scenario.schema.radio import (
    Access,
    PropagationEntry,
    RadioEntry,
    SlotPattern,
    TransceiverOverrides,
)
from edgesim.scenario.text.section import Section

__all__ = ["RadioFigures", "RadioKind", "TransceiverFigures"]


class TransceiverFigures(Section):
    """Figures of one end's radio."""

    power_dbm: Figure[DecibelsMilliwatt] = Field(alias="power")
    """Transmit power over the whole bandwidth."""
    gain_dbi: Figure[DecibelsIsotropic] = Field(alias="gain")
    """Antenna gain, equal in all directions."""
    noise_figure_db: Figure[NonNegativeDecibels] = Field(alias="noise_figure")
    """Noise figure of the receiver, added to thermal noise."""
    height_m: Figure[PositiveMetres] = Field(alias="height")
    """Antenna height."""

    def value(self, other: TransceiverOverrides) -> tuple[Transceiver, float]:
        """Return the transceiver with a scenario's overrides applied, and its antenna height [m]."""
        figures = {
            name: getattr(self, name).value if getattr(other, name) is None else getattr(other, name)
            for name in ("power_dbm", "gain_dbi", "noise_figure_db", "height_m")
        }
        height_m = figures.pop("height_m")
        return Transceiver(**figures), height_m


class RadioKind(Section):
    """A radio: its band, its two ends, and its medium access."""

    description: str
    """One-line description."""
    air: Annotated[str, EntryName(LINK_RATES)]
    """Name of the link-rate model: `nr`, `wifi`, or another (`edgesim list adaptation`)."""
    generation: Literal["n", "ac", "ax"] | None = None
    """Wi-Fi only: 802.11n, ac or ax."""
    carrier_hz: Figure[Hertz] = Field(alias="carrier")
    """Carrier frequency."""
    bandwidth_hz: Figure[Hertz] = Field(alias="bandwidth")
    """Bandwidth."""
    subcarrier_spacing_hz: Figure[Hertz] | None = Field(default=None, alias="subcarrier_spacing")
    """NR only: subcarrier spacing, which determines the slot duration."""
    duplex: Literal["tdd", "fdd", "half"]
    """Duplex: `tdd`, directions alternate by a slot pattern; `fdd`, two bands; `half`, first come, first
    served."""
    tdd: Figure[SlotPattern] | None = None
    """TDD only: slot pattern of down (D), up (U) and special (S) slots."""
    access: Access
    """Medium access: how the transfers of one cell share the band."""
    latency_s: Figure[Seconds] = Field(alias="latency")
    """Fixed delay of a message in each direction."""
    propagation: PropagationEntry
    """Default propagation model of links with this radio."""
    terminal: TransceiverFigures
    """Figures of the terminals' radio."""
    station: TransceiverFigures
    """Figures of the stations' radio."""

    @model_validator(mode="after")
    def _complete(self) -> RadioKind:
        if (self.air == "nr") != (self.subcarrier_spacing_hz is not None):
            refuse("'subcarrier_spacing' is required with 'air: nr', and not allowed otherwise")
        if (self.air == "wifi") != (self.generation is not None):
            refuse("'generation' is required with 'air: wifi', and not allowed otherwise")
        if (self.duplex == "tdd") != (self.tdd is not None):
            refuse("a slot pattern 'tdd' is required with 'duplex: tdd', and not allowed otherwise")
        if self.duplex == "tdd" and self.air != "nr":
            refuse("'duplex: tdd' needs the slots of 'air: nr'; choose fdd or half")
        return self

    def figures(self, entry: RadioEntry) -> RadioFigures:
        """Return the radio's figures as plain numbers, with a scenario's overrides applied."""
        terminal, terminal_height_m = self.terminal.value(entry.terminal)
        station, station_height_m = self.station.value(entry.station)
        return RadioFigures(
            air=self.air,
            generation=self.generation,
            carrier_hz=entry.carrier_hz or self.carrier_hz.value,
            bandwidth_hz=entry.bandwidth_hz or self.bandwidth_hz.value,
            subcarrier_spacing_hz=None
            if self.subcarrier_spacing_hz is None
            else self.subcarrier_spacing_hz.value,
            duplex=self.duplex,
            tdd=entry.tdd or (None if self.tdd is None else self.tdd.value),
            access=entry.access or self.access,
            latency_s=self.latency_s.value if entry.latency_s is None else entry.latency_s,
            terminal=terminal,
            terminal_height_m=terminal_height_m,
            station=station,
            station_height_m=station_height_m,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioFigures:
    """Figures of a radio as plain numbers, from the catalogue or a scenario's overrides."""

    air: str
    generation: Literal["n", "ac", "ax"] | None
    carrier_hz: float
    bandwidth_hz: float
    subcarrier_spacing_hz: float | None
    duplex: Literal["tdd", "fdd", "half"]
    tdd: str | None
    access: Access
    latency_s: float
    terminal: Transceiver
    terminal_height_m: float
    station: Transceiver
    station_height_m: float

"""What a radio of the catalogue is, every figure with its source."""

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
    """One end's radio."""

    power_dbm: Figure[DecibelsMilliwatt] = Field(alias="power")
    """Transmit power over the whole band."""
    gain_dbi: Figure[DecibelsIsotropic] = Field(alias="gain")
    """Antenna gain, the same in all directions."""
    noise_figure_db: Figure[NonNegativeDecibels] = Field(alias="noise_figure")
    """What the receiver adds to thermal noise."""
    height_m: Figure[PositiveMetres] = Field(alias="height")
    """Height of the antenna."""

    def value(self, other: TransceiverOverrides) -> tuple[Transceiver, float]:
        """Return the radio with a scenario's own figures in it, and its height [m]."""
        figures = {
            name: getattr(self, name).value if getattr(other, name) is None else getattr(other, name)
            for name in ("power_dbm", "gain_dbi", "noise_figure_db", "height_m")
        }
        height_m = figures.pop("height_m")
        return Transceiver(**figures), height_m


class RadioKind(Section):
    """A radio: its band, its two ends, and how its cells share the air."""

    description: str
    """What it is, in a line."""
    air: Annotated[str, EntryName(LINK_RATES)]
    """Link-rate model: 5G NR's or 802.11's, or another by its name (`edgesim list adaptation`)."""
    generation: Literal["n", "ac", "ax"] | None = None
    """Of Wi-Fi: 802.11n, ac or ax."""
    carrier_hz: Figure[Hertz] = Field(alias="carrier")
    """Carrier frequency."""
    bandwidth_hz: Figure[Hertz] = Field(alias="bandwidth")
    """Width of the band."""
    subcarrier_spacing_hz: Figure[Hertz] | None = Field(default=None, alias="subcarrier_spacing")
    """Of NR: distance of subcarriers, which sets the slot."""
    duplex: Literal["tdd", "fdd", "half"]
    """Both ways in turns by a pattern, in two bands, or whoever comes first."""
    tdd: Figure[SlotPattern] | None = None
    """Of tdd: slots down (D), up (U) and special (S)."""
    access: Access
    """How the transfers of one cell share the band."""
    latency_s: Figure[Seconds] = Field(alias="latency")
    """Fixed delay of a message each way."""
    propagation: PropagationEntry
    """Where a link does not say otherwise."""
    terminal: TransceiverFigures
    """The radio of users."""
    station: TransceiverFigures
    """The radio of the cell."""

    @model_validator(mode="after")
    def _complete(self) -> RadioKind:
        if (self.air == "nr") != (self.subcarrier_spacing_hz is not None):
            refuse("'subcarrier_spacing' belongs to air: nr, and to that alone")
        if (self.air == "wifi") != (self.generation is not None):
            refuse("'generation' belongs to air: wifi, and to that alone")
        if (self.duplex == "tdd") != (self.tdd is not None):
            refuse("a pattern 'tdd' belongs to duplex: tdd, and to that alone")
        if self.duplex == "tdd" and self.air != "nr":
            refuse("'duplex: tdd' goes by the slots of air: nr; choose fdd or half")
        return self

    def figures(self, entry: RadioEntry) -> RadioFigures:
        """Return plain numbers, a scenario's own in the place of the catalogue's."""
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
    """A radio's numbers, whoever gave them."""

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

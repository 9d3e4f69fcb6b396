"""Link-rate model of 5G NR: modulation and coding schemes, block errors and HARQ."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgesim.errors import InputError
from edgesim.fields import Seconds
from edgesim.radio.adaptation.bler import bler_set
from edgesim.radio.adaptation.nr import Nr
from edgesim.scenario.schema.link_rate import Carrier, LinkRate

__all__ = ["NrEntry"]

MILLIMETRE_WAVES_FROM_HZ = 7.125e9  # 3GPP's frequency range 2 begins above range 1

Streams = Annotated[int, Field(strict=True, ge=1, le=8)]


class NrEntry(LinkRate):
    """5G NR's modulation and coding schemes, block error rates and HARQ."""

    only_for: ClassVar[str] = "nr"

    mcs_table: Literal[1, 2, 3] = 1
    """MCS table of TS 38.214 section 5.1.3.1: 1 up to 64-QAM, 2 up to 256-QAM, 3 for low rates."""
    cqi_table: Literal[1, 2] | None = None
    """CQI table of TS 38.214 by which the scheme is selected; if not given, it is selected by the SINR
    itself."""
    bler: Literal["sionna", "lte-cqi"] = "sionna"
    """Block error rates: `sionna`, simulated curves; `lte-cqi`, copied LTE thresholds."""
    layers: Streams = 1
    """Number of spatial layers, each with the link's SINR."""
    combining: Literal["incremental", "chase", "none"] = "incremental"
    """HARQ: incremental redundancy, chase combining, or independent attempts (`none`)."""
    overhead_ratio: Annotated[float, Field(ge=0, le=0.9)] | None = Field(default=None, alias="overhead")
    """Share of resource elements without data; by default 0.14 below 7.125 GHz and 0.18 above."""
    round_trip_slots: Annotated[int, Field(strict=True, ge=0, le=1024)] = 8
    """HARQ round-trip time: slots from one attempt to the next."""
    scheduling_request_s: Literal["none"] | Seconds = Field(default=0.01, alias="scheduling_request")
    """Period of the scheduling-request opportunities of an idle terminal; `none` or 0 s: a configured grant,
    without requests. 10 ms is an estimate: TS 38.331 has 1 to 640 slots, deployed networks 5 to 40 ms."""
    grant_processing_slots: Annotated[int, Field(strict=True, ge=0, le=64)] = Field(
        default=1, alias="grant_processing"
    )
    """Slots from the end of the slot of a scheduling request to the first slot in which the grant can be
    sent."""
    k2_slots: Annotated[int, Field(strict=True, ge=0, le=32)] | None = Field(default=None, alias="k2")
    """Slots from the grant to the transmission (K2); by default 1, 1, 2, 3 at 15, 30, 60, 120 kHz."""

    def interface(self, carrier: Carrier) -> Nr:
        """Return the NR air interface for a carrier, which must have a subcarrier spacing."""
        if carrier.subcarrier_spacing_hz is None:
            raise InputError("5G NR needs a 'subcarrier_spacing', and this radio has none")
        return Nr(
            carrier.bandwidth_hz,
            carrier.subcarrier_spacing_hz,
            2 if carrier.carrier_hz > MILLIMETRE_WAVES_FROM_HZ else 1,
            mcs_table=self.mcs_table,
            cqi_table=self.cqi_table,
            bler=bler_set(self.bler),
            overhead_ratio=self.overhead_ratio,
            n_layers=self.layers,
            combining=self.combining,
            round_trip_slots=self.round_trip_slots,
        )

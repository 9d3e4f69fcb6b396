"""How a radio link adapts to its channel, where a scenario does not leave it to the radio's standard."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.fields import Decibels, NonNegativeDecibels, PositiveSeconds, Seconds
from edgesim.radio.access.wifi_mac import LONGEST_FRAME_BYTES
from edgesim.scenario.text.section import Choice, Section

__all__ = ["AdaptationChoice", "NrEntry", "ShannonEntry", "WifiEntry"]

Streams = Annotated[int, Field(strict=True, ge=1, le=8)]


class ShannonEntry(Section):
    """Capacity with a gap: an ideal adaptation without a table of schemes."""

    gap_db: NonNegativeDecibels = Field(default=0.0, alias="gap")
    """By how much a better ratio is needed than capacity says; 0 dB is the bound."""
    cap: Annotated[float, Field(gt=0)] | None = None
    """Highest efficiency in bit/s/Hz; none if not given."""
    attenuation: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the logarithm; TR 36.942's truncated form is {attenuation: 0.6, cap: 4.4, floor: -10 dB}."""
    floor_db: Decibels | None = Field(default=None, alias="floor")
    """Ratio below which nothing is sent."""


class NrEntry(Section):
    """5G NR's schemes, block errors and HARQ, where they differ from the defaults."""

    mcs_table: Literal[1, 2, 3] = 1
    """Of TS 38.214 section 5.1.3.1: 1 up to 64-QAM, 2 up to 256-QAM, 3 for low rates."""
    cqi_table: Literal[1, 2] | None = None
    """Decide on the reported CQI of this table of TS 38.214; on the ratio itself if not given."""
    bler: Literal["sionna", "lte-cqi"] = "sionna"
    """Block error rates: simulated curves, or the copied LTE thresholds."""
    layers: Streams = 1
    """Spatial layers, each at the ratio of the link."""
    combining: Literal["incremental", "chase", "none"] = "incremental"
    """HARQ: incremental redundancy, chase combining, or attempts that know nothing of one another."""
    overhead_ratio: Annotated[float, Field(ge=0, le=0.9)] | None = Field(default=None, alias="overhead")
    """Share of resource elements without data; if not given 0.14 below 7.125 GHz, 0.18 above."""
    round_trip_slots: Annotated[int, Field(strict=True, ge=0, le=1024)] = 8
    """Slots from one HARQ attempt to the next."""
    scheduling_request_s: Literal["none"] | Seconds = Field(default=0.01, alias="scheduling_request")
    """Time between a silent terminal's opportunities to ask for a grant; `none` or 0 s: a configured grant,
    without asking. 10 ms is an estimate: TS 38.331 has 1 to 640 slots, networks on the air 5 to 40 ms."""
    grant_processing_slots: Annotated[int, Field(strict=True, ge=0, le=64)] = Field(
        default=1, alias="grant_processing"
    )
    """Slots from the end of a request's slot to the first slot in which it may be answered."""
    k2_slots: Annotated[int, Field(strict=True, ge=0, le=32)] | None = Field(default=None, alias="k2")
    """Slots from the answer to the transmission (K2); if not given 1, 1, 2, 3 at 15, 30, 60, 120 kHz."""


class WifiEntry(Section):
    """802.11's rates and frame errors, where they differ from the defaults."""

    streams: Streams = 1
    """Spatial streams, each at the ratio of the link."""
    guard_s: PositiveSeconds | None = Field(default=None, alias="guard")
    """Guard interval; the generation's shortest if not given."""
    curve: Literal["sensitivity", "nist"] = "sensitivity"
    """Frame errors: by the standard's minimum sensitivities, or the NIST model as it stands."""
    frame_bytes: Annotated[int, Field(strict=True, ge=1, le=LONGEST_FRAME_BYTES)] = 1500
    """Bytes of a message that a MAC frame carries, headers not counted: what is repeated together."""


class AdaptationChoice(Choice):
    """From ratios to rates and errors: by the radio's standard with settings of its own, or by Shannon."""

    example: ClassVar[str] = "shannon or {nr: {mcs_table: 2}}"

    shannon: ShannonEntry | None = None
    """Capacity with a gap, of any radio."""
    nr: NrEntry | None = None
    """Of 5G NR."""
    wifi: WifiEntry | None = None
    """Of Wi-Fi."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        return {data: {}} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the single word, too."""
        return {"anyOf": [{"enum": ["shannon"]}, handler(core_schema)]}

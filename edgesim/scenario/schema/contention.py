"""Scenario section of Wi-Fi channel access: EDCA parameters and frame aggregation."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from edgesim.fields import Bytes, PositiveBytes, PositiveSeconds, Seconds
from edgesim.radio.access.edca import ACCESS_CATEGORIES, AccessCategory, Edca
from edgesim.radio.access.wifi_mac import LONGEST_PPDU_S, Aggregation
from edgesim.scenario.text.section import Section, made_or_refused
from edgesim.scenario.text.shorthand import Plain, Shorthand

__all__ = ["AggregationEntry", "ContentionEntry"]

Window = Annotated[int, Field(strict=True, ge=0, le=32767)]


class AggregationEntry(Section):
    """Frame aggregation (A-MPDU) limits; `false` sends every frame separately."""

    shorthand: ClassVar[Shorthand | None] = Plain(
        lambda is_aggregated: {} if is_aggregated else {"frames": 1},
        lambda properties: {"type": "boolean"},
        (bool,),
    )

    frames: Annotated[int, Field(strict=True, ge=1, le=256)] = 64
    """Maximum number of frames: 64, or up to 256 with 802.11ax."""
    duration_s: PositiveSeconds | None = Field(default=None, alias="duration")
    """Longest transmission; by default the standard's 5.484 ms. The category's TXOP also limits it."""
    size_bytes: PositiveBytes | None = Field(default=None, alias="size")
    """Largest aggregate, headers included; by default the generation's."""

    @model_validator(mode="after")
    def _makes_sense(self) -> AggregationEntry:
        made_or_refused(self.value)
        return self

    def value(self) -> Aggregation:
        """Return the limits for the MAC."""
        longest_s = LONGEST_PPDU_S if self.duration_s is None else self.duration_s
        return Aggregation(most_frames=self.frames, longest_s=longest_s, most_bytes=self.size_bytes)


class ContentionEntry(Section):
    """EDCA parameters of IEEE 802.11 that differ from the defaults."""

    category: AccessCategory = "best-effort"
    """Access category, with the standard's default parameters."""
    aifsn: Annotated[int, Field(strict=True, ge=1, le=15)] | None = None
    """Arbitration interframe space: idle slots after SIFS, instead of the category's."""
    cw_min: Window | None = None
    """Initial contention window in slots, instead of the category's."""
    cw_max: Window | None = None
    """Largest contention window in slots, instead of the category's."""
    txop_s: Seconds | None = Field(default=None, alias="txop")
    """Longest exchange (TXOP limit), instead of the category's; 0 s is one frame at a time."""
    aggregation: AggregationEntry = AggregationEntry()
    """Frame aggregation: `{frames: 256, duration: 2 ms, size: 64 kB}`, or `false`."""
    rts_from_bytes: Bytes | None = Field(default=None, alias="rts_from")
    """Smallest transmission that is preceded by RTS and CTS; `rts_cts: true` applies them to all."""
    transport_acks: bool = False
    """Whether receivers send an acknowledgement over the air for every second segment, as TCP does."""

    @model_validator(mode="after")
    def _makes_sense(self) -> ContentionEntry:
        made_or_refused(self.edca)
        return self

    def edca(self) -> Edca:
        """Return the access category's parameters with the given ones applied."""
        known = ACCESS_CATEGORIES[self.category]
        return Edca(
            aifsn=known.aifsn if self.aifsn is None else self.aifsn,
            cw_min=known.cw_min if self.cw_min is None else self.cw_min,
            cw_max=known.cw_max if self.cw_max is None else self.cw_max,
            txop_s=known.txop_s if self.txop_s is None else self.txop_s,
        )

"""Scenario section of link adaptation, for radios that do not use their standard's default."""

from __future__ import annotations

from typing import ClassVar

from edgesim.plugins import EntryPointGroup
from edgesim.scenario.schema.link_rate import LINK_RATES, LinkRate
from edgesim.scenario.text.open_choice import OpenChoice
from edgesim.scenario.text.shorthand import Shorthand, Words

__all__ = ["AdaptationChoice"]


class AdaptationChoice(OpenChoice[LinkRate]):
    """Link adaptation (SINR to rates and errors): settings of the radio's own standard, or Shannon."""

    shorthand: ClassVar[Shorthand | None] = Words()

    group: ClassVar[EntryPointGroup[type[LinkRate]]] = LINK_RATES
    order: ClassVar[tuple[str, ...]] = ("shannon", "nr", "wifi")
    example: ClassVar[str] = "shannon or {nr: {mcs_table: 2}}"

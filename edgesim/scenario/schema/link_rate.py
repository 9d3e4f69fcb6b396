"""What a link-rate model is: options in a scenario, and the way from ratios to rates that they make.

A model arrives through the entry point group ``edgesim.link_rates``; edgesim's own stand in
:mod:`edgesim.scenario.schema.link_rates`, a file each. A radio of a catalogue names the one of its standard
(``air: nr``), and a scenario may take another (``adaptation: shannon``).
"""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol

from edgesim import plugins
from edgesim.errors import ScenarioError
from edgesim.plugins import EntryPointGroup
from edgesim.radio.adaptation.outer_loop import Adapting
from edgesim.scenario.text.open_choice import Alternative

__all__ = ["LINK_RATES", "Carrier", "LinkRate"]


class Carrier(Protocol):
    """What a radio is, as far as its rates depend on it."""

    @property
    def carrier_hz(self) -> float:
        """Carrier frequency."""
        ...

    @property
    def bandwidth_hz(self) -> float:
        """Width of the band."""
        ...

    @property
    def subcarrier_spacing_hz(self) -> float | None:
        """Of 5G NR: distance of subcarriers."""
        ...

    @property
    def generation(self) -> Literal["n", "ac", "ax"] | None:
        """Of Wi-Fi: n, ac or ax."""
        ...


class LinkRate(Alternative):
    """From a link's ratio to its rate and errors; a subclass declares its options as fields.

    Options of a model that radios of a catalogue name have defaults. The first line of the docstring says in
    ``edgesim list adaptation`` what it is.
    """

    only_for: ClassVar[str] = ""
    """The model that a radio's catalogue entry must name (its ``air``); empty: any radio may take this."""

    def interface(self, carrier: Carrier) -> Adapting:
        """Make the air interface of a radio: a frozen value that can be compared and travels to processes.

        Raises
        ------
        InputError
            If there is no such carrier.
        """
        raise NotImplementedError


def _check(kind: type[LinkRate]) -> None:
    plugins.require_methods(kind, LinkRate, {"interface": "carrier"})


LINK_RATES: EntryPointGroup[type[LinkRate]] = EntryPointGroup(
    "edgesim.link_rates",
    "link-rate model",
    "adaptation",
    LinkRate,
    "edgesim.LinkRate",
    ScenarioError,
    _check,
    home="edgesim.scenario.schema.link_rates",
)
"""Link-rate models arrive through this group of entry points, and edgesim's own beside them."""

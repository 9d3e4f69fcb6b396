"""Base class and entry-point group of link-rate models, which map SINR to rates and errors.

Models are loaded through the entry-point group ``edgesim.link_rates``; the built-in ones are in
:mod:`edgesim.scenario.schema.link_rates`, one module each. A radio of a catalogue names the model of its
standard (``air: nr``); a scenario can select another (``adaptation: shannon``).
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
    """The properties of a radio on which its rates depend."""

    @property
    def carrier_hz(self) -> float:
        """Carrier frequency [Hz]."""
        ...

    @property
    def bandwidth_hz(self) -> float:
        """Bandwidth [Hz]."""
        ...

    @property
    def subcarrier_spacing_hz(self) -> float | None:
        """Subcarrier spacing [Hz] of 5G NR; None for other radios."""
        ...

    @property
    def generation(self) -> Literal["n", "ac", "ax"] | None:
        """Generation of Wi-Fi: n, ac or ax; None for other radios."""
        ...


class LinkRate(Alternative):
    """Base class of link-rate models (SINR to rate and errors); a subclass declares its options as fields.

    All options of a model that a catalogue's radios name must have defaults. ``edgesim list adaptation``
    shows the first line of the subclass's docstring.
    """

    only_for: ClassVar[str] = ""
    """Value of ``air`` that a radio's catalogue entry must have to use this model; empty: any radio can use
    it."""

    def interface(self, carrier: Carrier) -> Adapting:
        """Return the air interface of a radio: a frozen value that can be compared and pickled.

        Raises
        ------
        InputError
            If the model does not support the carrier.
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
"""Entry-point group of the link-rate models, built-in and installed."""

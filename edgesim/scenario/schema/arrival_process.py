"""Base class and entry-point group of arrival processes.

Processes are loaded through the entry-point group ``edgesim.arrivals``; the built-in ones are in
:mod:`edgesim.scenario.schema.arrivals`, one module each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self, cast

import numpy as np
from pydantic import model_validator

from edgesim import plugins
from edgesim.errors import InputError, ScenarioError
from edgesim.plugins import EntryPointGroup
from edgesim.scenario.text.open_choice import Alternative
from edgesim.scenario.text.section import made_or_refused
from edgesim.workload.arrivals import Arrivals

__all__ = ["ARRIVALS", "ArrivalProcess"]


class ArrivalProcess(Alternative):
    """Base class of arrival processes, for all sources together; a subclass declares its options as fields.

    A subclass either is the arrival law itself, with ``rate_hz`` (a field or a property: arrivals per second
    in the long run) and :meth:`instants`, or returns one from :meth:`law`. ``edgesim list arrivals`` shows
    the first line of the subclass's docstring.
    """

    def law(self) -> Arrivals:
        """Return the arrival law; by default the process itself."""
        return cast("Arrivals", self)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield arrival instants [s since time zero], non-decreasing and unbounded in number.

        The instants depend on the draws from ``rng`` alone: the same generator state gives the same instants.
        """
        raise NotImplementedError

    @model_validator(mode="after")
    def _makes_a_law(self) -> Self:
        made_or_refused(self.law)
        return self


def _check(kind: type[ArrivalProcess]) -> None:
    if kind.law is not ArrivalProcess.law:
        plugins.require_methods(kind, ArrivalProcess, {"law": ""})
        return
    plugins.require_methods(kind, ArrivalProcess, {"instants": "rng"})
    if "rate_hz" not in kind.model_fields and not hasattr(kind, "rate_hz"):
        raise InputError(
            f"class {kind.__qualname__} has no rate_hz; define a field or a property of that name: arrivals "
            "per second in the long run"
        )


ARRIVALS: EntryPointGroup[type[ArrivalProcess]] = EntryPointGroup(
    "edgesim.arrivals",
    "arrival process",
    "arrivals",
    ArrivalProcess,
    "edgesim.ArrivalProcess",
    ScenarioError,
    _check,
    home="edgesim.scenario.schema.arrivals",
)
"""Entry-point group of the arrival processes, built-in and installed."""

"""What an arrival process is: options in a scenario, and the law that they make.

A process arrives through the entry point group ``edgesim.arrivals``; edgesim's own stand in
:mod:`edgesim.scenario.schema.arrivals`, a file each.
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
from edgesim.scenario.text.section import made
from edgesim.workload.arrivals import Arrivals

__all__ = ["ARRIVALS", "ArrivalProcess"]


class ArrivalProcess(Alternative):
    """When requests arrive, all sources taken together; a subclass declares its options as fields.

    It is the law itself, by ``rate_hz`` (a field or a property: arrivals per second in the long run) and
    :meth:`instants`, or makes one in :meth:`law`. The first line of the docstring says in ``edgesim list
    arrivals`` what it is.
    """

    def law(self) -> Arrivals:
        """Return the law; by default the process itself."""
        return cast("Arrivals", self)

    def instants(self, rng: np.random.Generator) -> Iterator[float]:
        """Yield instants in seconds since time zero, never decreasing, without end.

        They follow from what is drawn from ``rng`` alone: the same generator gives the same instants.
        """
        raise NotImplementedError

    @model_validator(mode="after")
    def _makes_a_law(self) -> Self:
        made(self.law)
        return self


def _check(kind: type[ArrivalProcess]) -> None:
    if kind.law is not ArrivalProcess.law:
        plugins.require_methods(kind, ArrivalProcess, {"law": ""})
        return
    plugins.require_methods(kind, ArrivalProcess, {"instants": "rng"})
    if "rate_hz" not in kind.model_fields and not hasattr(kind, "rate_hz"):
        raise InputError(
            f"class {kind.__qualname__} has no rate_hz; write a field or a property of that name: arrivals "
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
"""Arrival processes arrive through this group of entry points, and edgesim's own beside them."""

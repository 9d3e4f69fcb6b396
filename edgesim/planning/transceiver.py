"""Transceiver designs for sums over the air, by name.

==============  ===================================================================================
name            method that finds the station's combiner
==============  ===================================================================================
``first-order``  descent on the smoothed worst device, from the previous block's combiner (a few milliseconds)
``sdr``          semidefinite relaxation and Gaussian randomisation, as published; needs CVXPY
``subspace``     leading singular vectors of all channels side by side, closed form
==============  ===================================================================================

A lower bound of the error of all of them: :func:`lower_bound`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from edgesim.errors import InputError
from edgesim.nearest import suggest
from edgesim.planning.transceiver_bound import certified_alpha
from edgesim.planning.transceiver_descent import first_order
from edgesim.planning.transceiver_design import Designer, TransceiverDesign, leading_subspace
from edgesim.planning.transceiver_sdp import LowerBound, lower_bound, sdr

__all__ = [
    "DESIGNERS",
    "Designer",
    "DesignerName",
    "LowerBound",
    "TransceiverDesign",
    "certified_alpha",
    "designer",
    "first_order",
    "leading_subspace",
    "lower_bound",
    "sdr",
]

DesignerName = Literal["first-order", "sdr", "subspace"]
"""Names of the designs, as users write them."""

DESIGNERS: Mapping[str, Designer] = MappingProxyType(
    {"first-order": first_order, "sdr": sdr, "subspace": leading_subspace}
)
"""Designs by name."""

assert set(DESIGNERS) == set(get_args(DesignerName))


def designer(name: str) -> Designer:
    """Return the design of this name; raise InputError if there is none."""
    try:
        return DESIGNERS[name]
    except KeyError:
        raise InputError(
            f"transceiver: no design is called {name!r}; expected {', '.join(DESIGNERS)}: "
            f"{suggest(name, DESIGNERS)}"
        ) from None

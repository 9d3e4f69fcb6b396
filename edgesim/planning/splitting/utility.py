"""Utility of requests: one number from quality, latency, energy and load, for training and evaluation.

The same function is the reward of an environment over the event loop and the measure of a finished trace, so
training and evaluation use one objective.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgesim.errors import InputError

__all__ = ["Utility"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility:
    """Weights of a request's costs; its utility is minus their weighted sum.

    A completed request has the utility

    .. math:: u = -w_q (NLL - NLL_0) - w_t T - w_e E - w_l L

    A request that failed or was cut off has ``-failure - w_e E``.

    Attributes
    ----------
    quality
        Per nat of mean negative log likelihood above `clean_nll`.
    latency_per_s
        Per second from arrival to the last token.
    energy_per_j
        Per joule drawn for the request beyond idle power, all devices and hops together.
    load
        Per unit of load, such as the share of the blocks that the user's own device computes.
    failure
        Cost of a request without its answer.
    clean_nll
        Mean negative log likelihood that counts as unimpaired [nats].
    """

    quality: float = 0.0
    latency_per_s: float = 0.0
    energy_per_j: float = 0.0
    load: float = 0.0
    failure: float = 0.0
    clean_nll: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or (value < 0 and field.name != "clean_nll"):
                raise InputError(f"utility: expected a finite {field.name} of 0 or more, got {value}")

    def value(
        self,
        *,
        is_completed: ArrayLike,
        nll: ArrayLike,
        latency_s: ArrayLike,
        energy_j: ArrayLike,
        load: ArrayLike | None = None,
    ) -> Floats:
        """Return the utility of each request, from columns of one length; NaN in a column means unknown.

        Raises
        ------
        InputError
            If a quantity has a weight and is unknown.
        """
        done = np.asarray(is_completed, np.bool_)
        costs = np.where(done, 0.0, self.failure) + self._cost("energy_per_j", energy_j, True)
        costs = costs + self._cost("quality", np.asarray(nll, np.float64) - self.clean_nll, done)
        costs = costs + self._cost("latency_per_s", latency_s, done)
        costs = costs + self._cost("load", np.nan if load is None else load, done)
        found: Floats = -costs
        return found

    def _cost(self, name: str, amount: ArrayLike, counts: ArrayLike) -> Floats:
        weight = getattr(self, name)
        if weight == 0.0:
            return np.zeros(())
        cost: Floats = np.where(counts, weight * np.asarray(amount, np.float64), 0.0)
        if np.isnan(cost).any():
            raise InputError(
                f"utility: '{name}' has a weight, but its quantity is unknown for some requests; "
                f"{_REMEDIES[name]}, or set its weight to 0"
            )
        return cost

    def of_requests(self, requests: Mapping[str, Any], load: ArrayLike | None = None) -> Floats:
        """Return the utility of each request of a trace, in the order of the table.

        Parameters
        ----------
        requests
            Columns ``outcome``, ``arrived_at_s``, ``ended_at_s``, ``energy_j`` and ``nll``, as in
            ``Trace.requests``.
        load
            Load of each request.
        """

        def column(name: str) -> Floats:
            return np.array([np.nan if v is None else float(v) for v in requests[name]], np.float64)

        return self.value(
            is_completed=np.array([str(outcome) == "completed" for outcome in requests["outcome"]], np.bool_),
            nll=column("nll"),
            latency_s=column("ended_at_s") - column("arrived_at_s"),
            energy_j=column("energy_j"),
            load=load,
        )


_REMEDIES = {
    "quality": "give the scenario 'quality'",
    "latency_per_s": "have requests completed",
    "energy_per_j": "record spans",
    "load": "give each request's load",
}

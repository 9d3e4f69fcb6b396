"""Number of tasks in a queue as a function of its utilisation, continued smoothly beyond its capacity.

An M/G/1 queue of utilisation rho contains on average (Pollaczek-Khinchine, with v = (1 + scv) / 2)

::

    F(rho) = rho + v rho^2 / (1 - rho) = rho + v (1 / (1 - rho) - 1 - rho)
    F'(rho) = 1 + v (1 / (1 - rho)^2 - 1),    F''(rho) = 2 v / (1 - rho)^3

tasks, which is lambda T by Little's law: M/M/1 with scv = 1, M/D/1 with 0. An intermediate plan may exceed a
server's capacity. Beyond rho = kappa, F is therefore continued by its second-order expansion there, so that
value, slope and curvature are continuous, and the exterior-point penalty ``K max(0, rho - kappa)^2`` is
added. If the optimal plan loads no queue beyond kappa, it is also optimal for the exact F, since both
problems are convex and have the same slope there.

Departure from the reference formulation: the penalty is on utilisations, not on FLOP/s, so that K [tasks]
means the same for fast and slow servers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError

__all__ = ["Barrier", "queue_tasks", "wait_and_service_s"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Barrier:
    """Utilisation at which the exact cost ends, and weight of the penalty beyond.

    Attributes
    ----------
    kappa
        Utilisation up to which the cost is exact, below 1.
    weight
        Penalty weight K [tasks].
    """

    kappa: float = 0.98
    weight: float = 1e3

    def __post_init__(self) -> None:
        if not (0 < self.kappa < 1 and self.weight >= 0):
            raise InputError(
                f"offloading: kappa {self.kappa:g} and weight {self.weight:g}; expected kappa between 0 "
                "and 1, and a weight of at least 0"
            )


def queue_tasks(utilisation: Floats, scv: Floats, barrier: Barrier) -> tuple[Floats, Floats, Floats]:
    """Return the continued and penalised mean number of tasks in each queue, and its first two derivatives.

    Parameters
    ----------
    utilisation, scv : [n]
        rho, 0 or more without upper limit, and the squared coefficient of variation of the service time.
    """
    v = (1 + scv) / 2
    at = np.minimum(utilisation, barrier.kappa)
    beyond = utilisation - at
    idle = 1 - at
    slope = 1 + v * (1 / idle**2 - 1)
    curvature = 2 * v / idle**3
    value = at + v * at**2 / idle + beyond * (slope + beyond * (curvature / 2 + barrier.weight))
    steeper = np.where(beyond > 0, curvature + 2 * barrier.weight, curvature)
    return value, slope + beyond * steeper, steeper


def wait_and_service_s(service_s: Floats, utilisation: Floats, scv: Floats) -> Floats:
    """Return the mean waiting plus service time in an M/G/1 queue; infinite if it is not stable: [n]."""
    stable = utilisation < 1
    idle = np.where(stable, 1 - utilisation, 1.0)
    time_s = service_s * (1 + (1 + scv) / 2 * utilisation / idle)
    return np.where(stable, time_s, np.inf)

"""DTO-R and DTO-O: what each node does in a round, from what it knows and what messages brought it.

The paper's round: a receiver measures its rate, computes its marginal cost delta and sends it upstream
(:func:`receiver_report`); an offloader shifts its row towards the hops with the least ``D = t + delta``
(:func:`plain_step`). All offloaders react to one report at once and to a cost that a queue near saturation
multiplies, so that a fixed step either swings or, being safe, takes thousands of rounds at 0.9 of the largest
flow.

Departure from it, the *negotiated* round, of one or more exchanges (two messages over each link, of two
numbers and of one) before rows change:

1. Each offloader works out the row that it would take at the prices of before, and sends over each link the
   rate that would follow and how fast that rate falls with the price there (:func:`offer`).
2. Each receiver sets the price that holds after its offloaders have responded to it: where
   ``s F'(rho) = before + (rho_offered - rho) / (damping S s)`` (:func:`anticipated_price_s`; S is the sum of
   the responses). An implicit step, so that steep queues do not limit it. It adds what comes after, and
   reports.
3. Each offloader makes a proximal step with those prices (:func:`offloader_step`).

The weight of the proximal term is the cost of the cheapest hop over ``boldness``, which each offloader adapts
(:mod:`~edgesim.planning.offloading.boldness`). S is exact
for a row whose used hops stay the same; receivers are coupled over their offloaders, and the response to one
price alone is at most half the largest response to all together (a Laplacian's diagonal and its largest
eigenvalue), hence a damping of 2. The fixed point is the paper's: prices are the marginal costs at the rates
that come, hops in use cost the same.

The queue of a link has a price of its own, which its offloader sets as a receiver would, without a message.

A lost or late message leaves the last one in force on either side, and moves no fixed point. An offer says
which price it answers: those of offloaders that have missed the last one are not taken for answers to it, for
the price would run away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.planning.offloading.queue_cost import Barrier, queue_tasks
from edgesim.planning.offloading.rows import Rows, plain_shift, proximal_shift

__all__ = [
    "Offer",
    "RoundRule",
    "anticipated_price_s",
    "marginal_price_s",
    "offer",
    "offloader_step",
    "plain_step",
    "proximal_weights_s",
    "receiver_report",
    "responses",
]

Floats = NDArray[np.float64]

_NEWTON_STEPS = 60  # of a convex, increasing function from its right: far fewer are made
_LEAST_RESPONSE = 0.1  # of a hop's gain: one that is alone in use, or not yet in use, may soon respond


@dataclass(frozen=True, slots=True)
class RoundRule:
    """How a round goes.

    Attributes
    ----------
    kind
        ``negotiated``, or ``plain`` as in the paper.
    boldness
        Share of its tasks that a row moves at first for a relative difference in cost, about: the step size.
    damping
        How much more than its offloaders announced a receiver expects them to respond.
    n_exchanges
        Offers and reports before rows change.
    eta_per_s
        Step size of the plain round [1/s].
    """

    kind: Literal["negotiated", "plain"] = "negotiated"
    boldness: float = 1.5
    damping: float = 2.0
    n_exchanges: int = 6
    eta_per_s: float = 0.1

    def __post_init__(self) -> None:
        if not (self.boldness > 0 and self.damping > 0 and self.n_exchanges >= 1 and self.eta_per_s > 0):
            raise InputError(
                f"offloading: {self}; expected boldness, damping and eta above 0, and an exchange or more"
            )


# --- receivers (DTO-R) ------------------------------------------------------------------------------------


def marginal_price_s(service_s: Floats, scv: Floats, rate_per_s: Floats, barrier: Barrier) -> Floats:
    """What one more task per second costs at a queue of this rate: s F'(rho), with its penalty: [n]."""
    _, slope, _ = queue_tasks(rate_per_s * service_s, scv, barrier)
    return service_s * slope


def anticipated_price_s(
    service_s: Floats,
    scv: Floats,
    offered_per_s: Floats,
    response_per_s2: Floats,
    before_s: Floats,
    *,
    damping: float,
    barrier: Barrier,
) -> Floats:
    """The price at which a queue's marginal cost equals it once its offloaders have responded: [n].

    Parameters
    ----------
    offered_per_s
        Rate that offloaders announce.
    response_per_s2
        By how much that rate falls per second of price. 0: the marginal cost at the rate as it is.
    before_s
        The queue's own price that they answer.
    """
    offered = offered_per_s * service_s
    reach = damping * response_per_s2 * service_s  # utilisation per second of price
    # reach (s F'(rho) - before) + rho - offered is increasing and convex, and not below 0 at this start.
    rho = np.maximum(offered, offered + reach * before_s)
    for _ in range(_NEWTON_STEPS):
        _, slope, curvature = queue_tasks(rho, scv, barrier)
        step = (reach * (service_s * slope - before_s) + rho - offered) / (reach * service_s * curvature + 1)
        rho = np.maximum(rho - step, 0.0)
        if np.all(np.abs(step) <= 1e-13 * (1 + rho)):
            break
    _, slope, _ = queue_tasks(rho, scv, barrier)
    return service_s * slope


def receiver_report(own_price_s: float, continues: float, row: Floats, costs_s: Floats) -> float:
    """Delta: a node's own price and, for the share that goes on, what comes after [s].

    Parameters
    ----------
    row, costs_s : [n_hops]
        The node's own probabilities, and D of its hops; both empty at the last stage.
    """
    return own_price_s + continues * float(row @ costs_s)


# --- offloaders (DTO-O) -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Offer:
    """What an offloader announces over each of its links: [n_hops] each.

    Attributes
    ----------
    rates_per_s
        Tasks that it would send.
    responses_per_s2
        By how much that would fall per second that the hop cost more.
    """

    row: Floats
    rates_per_s: Floats
    responses_per_s2: Floats


def proximal_weights_s(rows: Rows, costs_s: Floats, boldness: Floats | float) -> Floats:
    """Weights of the proximal step: [n_entries]."""
    weights: Floats = rows.least(costs_s)[rows.row] / boldness
    return weights


def responses(rows: Rows, plan: Floats, weights_s: Floats) -> Floats:
    """By how much each probability falls per second that its hop alone costs more [1/s]: [n_entries]."""
    gain = 1 / weights_s
    used = np.where(plan > 1e-9, gain, 0.0)
    shared = np.where(plan > 1e-9, 1 - used / np.maximum(rows.sums(used), 1e-300)[rows.row], 0.0)
    return gain * np.maximum(shared, _LEAST_RESPONSE)


def offer(
    row: Floats,
    costs_s: Floats,
    weights_s: Floats,
    *,
    rate_per_s: float,
    continues: float,
    response_per_s2: float = 0.0,
) -> Offer:
    """The row that an offloader would take at known costs, and what it announces.

    Parameters
    ----------
    row, costs_s, weights_s : [n_hops]
    rate_per_s
        Rate of the tasks that come to it (that its own offloaders announced, if it is a server).
    response_per_s2
        By how much that rate falls per second that they cost more here.
    """
    rows = Rows.single(len(row))
    taken = proximal_shift(rows, row, costs_s, weights_s)
    leaving = rate_per_s * continues
    falls = leaving * responses(rows, taken, weights_s) + continues * taken * response_per_s2
    return Offer(taken, leaving * taken, falls)


def offloader_step(row: Floats, costs_s: Floats, weights_s: Floats) -> Floats:
    """An offloader's next row: [n_hops]."""
    return proximal_shift(Rows.single(len(row)), row, costs_s, weights_s)


def plain_step(row: Floats, costs_s: Floats, eta_per_s: float) -> Floats:
    """The paper's next row: [n_hops]."""
    return plain_shift(Rows.single(len(row)), row, costs_s, eta_per_s)

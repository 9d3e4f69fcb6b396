"""DTO-R and DTO-O: the computations of each node in a round, from its own state and received messages.

The paper's round: a receiver measures its rate, computes its marginal cost delta and sends it upstream
(:func:`receiver_report`); an offloader shifts its row towards the hops with the least ``D = t + delta``
(:func:`plain_step`). All offloaders react to one report at once, and to a cost that a queue near saturation
multiplies. A fixed step therefore either oscillates or, if it is small enough, takes thousands of rounds at
0.9 of the largest flow.

Departure from it: in the *negotiated* round, one or more exchanges (two messages over each link, of two
numbers and of one) precede the change of rows:

1. Each offloader computes the row that it would take at the previous prices, and sends over each link the
   resulting rate and how fast that rate falls with the price there (:func:`offer`).
2. Each receiver sets the price that is valid after its offloaders have responded to it, where
   ``s F'(rho) = before + (rho_offered - rho) / (damping S s)`` (:func:`anticipated_price_s`; S is the sum of
   the responses). This implicit step is not limited by steep queues. The receiver adds the costs after it,
   and reports the sum.
3. Each offloader makes a proximal step with those prices (:func:`offloader_step`).

The weight of the proximal term is the cost of the cheapest hop over ``boldness``, which each offloader adapts
(:mod:`~edgesim.planning.offloading.adaptive_step`). S is exact for a row whose used hops stay the same.
Receivers are coupled through their offloaders, and the response to one price alone is at most half the
largest response to all together (a Laplacian's diagonal and its largest eigenvalue), hence a damping of 2.
The fixed point is the paper's: prices are the marginal costs at the actual rates, and hops in use cost the
same.

The queue of a link has its own price, which its offloader sets as a receiver would, without a message.

A lost or late message leaves the last one in force at either end, and moves no fixed point. An offer states
the price that it answers. Offers of offloaders that have missed the last price are not treated as answers to
it, since the price would diverge.
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

_NEWTON_STEPS = 60  # upper limit: from the right on a convex, increasing function, far fewer are made
_LEAST_RESPONSE = 0.1  # of a hop's gain: a hop that is alone in use, or not yet in use, may soon respond


@dataclass(frozen=True, slots=True)
class RoundRule:
    """Parameters of a round.

    Attributes
    ----------
    kind
        ``negotiated``, or ``plain`` as in the paper.
    boldness
        Initial step size: approximate share of its tasks that a row moves, per relative difference in cost.
    damping
        Factor by which a receiver expects offloaders to respond more than they announced.
    n_exchanges
        Exchanges of offers and reports before rows change.
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
                f"offloading: {self}; expected boldness, damping and eta above 0, and at least one exchange"
            )


# --- receivers (DTO-R) ------------------------------------------------------------------------------------


def marginal_price_s(service_s: Floats, scv: Floats, rate_per_s: Floats, barrier: Barrier) -> Floats:
    """Return the marginal cost of one more task per second at each queue: s F'(rho), with penalty: [n]."""
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
    """Return the price that equals a queue's marginal cost once its offloaders have responded to it: [n].

    Parameters
    ----------
    offered_per_s
        Rate that offloaders announce.
    response_per_s2
        Decrease of that rate per second of price. 0: return the marginal cost at the present rate.
    before_s
        The queue's own price that the offers answer.
    """
    offered = offered_per_s * service_s
    reach = damping * response_per_s2 * service_s  # utilisation per second of price
    # reach (s F'(rho) - before) + rho - offered is increasing and convex, and at least 0 at this start.
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
    """Return delta: a node's own price plus, for the share that continues, the costs after it [s].

    Parameters
    ----------
    row, costs_s : [n_hops]
        The node's own probabilities, and D of its hops; both empty at the last stage.
    """
    return own_price_s + continues * float(row @ costs_s)


# --- offloaders (DTO-O) -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Offer:
    """An offloader's announcement over each of its links: [n_hops] each.

    Attributes
    ----------
    row
        Row that it would take.
    rates_per_s
        Rate of the tasks that it would send.
    responses_per_s2
        Decrease of that rate per second that the hop cost more.
    """

    row: Floats
    rates_per_s: Floats
    responses_per_s2: Floats


def proximal_weights_s(rows: Rows, costs_s: Floats, boldness: Floats | float) -> Floats:
    """Return the weights of the proximal step: [n_entries]."""
    weights: Floats = rows.least(costs_s)[rows.row] / boldness
    return weights


def responses(rows: Rows, plan: Floats, weights_s: Floats) -> Floats:
    """Return the decrease of each probability per second that its hop alone costs more: [n_entries] [1/s]."""
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
    """Return the row that an offloader would take at known costs, and what it announces.

    Parameters
    ----------
    row, costs_s, weights_s : [n_hops]
        Present probabilities, costs and proximal weights of the hops.
    rate_per_s
        Rate of its incoming tasks (for a server, as announced by its own offloaders).
    response_per_s2
        Decrease of that rate per second that tasks cost more here.
    """
    rows = Rows.single(len(row))
    taken = proximal_shift(rows, row, costs_s, weights_s)
    leaving = rate_per_s * continues
    falls = leaving * responses(rows, taken, weights_s) + continues * taken * response_per_s2
    return Offer(taken, leaving * taken, falls)


def offloader_step(row: Floats, costs_s: Floats, weights_s: Floats) -> Floats:
    """Return an offloader's next row: [n_hops]."""
    return proximal_shift(Rows.single(len(row)), row, costs_s, weights_s)


def plain_step(row: Floats, costs_s: Floats, eta_per_s: float) -> Floats:
    """Return the next row by the paper's rule: [n_hops]."""
    return plain_shift(Rows.single(len(row)), row, costs_s, eta_per_s)

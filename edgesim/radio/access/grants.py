"""Division of one slot's resource blocks among the members that request some: at least one whole block each.

Members are identified by any hashable value; a member that requests nothing does not take part. Blocks left
over when all requests are met stay empty.

Not modelled: control channels, which limit how many grants a slot can announce; which blocks of the carrier a
grant occupies (all fade alike); resource block groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import TypeVar

__all__ = ["grant_by_weight", "grant_in_order"]

Member = TypeVar("Member")

_ROUNDING = 1e-9


def grant_in_order(wants: Mapping[Member, int], order: Iterable[Member], n_prb: int) -> dict[Member, int]:
    """Grant each member, in the given order, all that it requests, until no block is left.

    Parameters
    ----------
    wants
        Resource blocks that each member can use, at least 1.
    order
        Members, the most urgent first.

    Returns
    -------
    Resource blocks of the members that are granted any.
    """
    granted, left = {}, n_prb
    for member in order:
        if not left:
            break
        granted[member] = min(wants[member], left)
        left -= granted[member]
    return granted


def grant_by_weight(
    wants: Mapping[Member, int], weights: Mapping[Member, float], n_prb: int
) -> dict[Member, int]:
    """Grant shares in proportion to weights; what a member does not need goes to the others.

    Max-min fairness (Bertsekas and Gallager 1992, section 6.5.2), rounded to whole resource blocks with at
    least one for every member. Blocks that do not divide evenly go to the largest remainders.

    Parameters
    ----------
    wants
        Resource blocks that each member can use, at least 1. No more members than resource blocks.
    weights
        Weight of each member, positive.

    Returns
    -------
    Resource blocks of every member.
    """
    granted, left = {}, n_prb
    order = sorted(wants, key=lambda one: wants[one] / weights[one])  # smallest request per weight first
    weights_left = list(accumulate(weights[member] for member in reversed(order)))[::-1]
    for place, (member, weight_left) in enumerate(zip(order, weights_left, strict=True), start=1):
        share = min(left * weights[member] / weight_left, left - (len(order) - place))
        if wants[member] > share + _ROUNDING:
            break  # the members after this one cannot be satisfied either
        granted[member] = wants[member]
        left -= wants[member]
    rest = [member for member in wants if member not in granted]
    for member in sorted(rest, key=weights.__getitem__):  # raise shares below one block to one
        weight_left = math.fsum(weights[one] for one in rest)
        if left * weights[member] / weight_left >= 1.0 - _ROUNDING:
            break
        granted[member] = 1
        left -= 1
        rest.remove(member)
    weight_left = math.fsum(weights[member] for member in rest)
    shares = {member: left * weights[member] / weight_left + _ROUNDING for member in rest}
    granted |= {member: min(wants[member], math.floor(share)) for member, share in shares.items()}
    left = n_prb - sum(granted.values())
    while left:  # leftover blocks go to the largest remainders; ties to the member listed first
        lacking = [member for member in wants if granted[member] < wants[member]]
        if not lacking:
            break
        lacking.sort(key=lambda one: -round(shares.get(one, 1.0) - granted[one], 6))
        for member in lacking[:left]:
            granted[member] += 1
        left -= len(lacking[:left])
    return granted

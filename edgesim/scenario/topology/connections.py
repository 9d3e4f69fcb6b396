"""Selection of the pairs of devices that a link entry connects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product

from edgesim.scenario.schema.topology import Connect

__all__ = ["Point", "pairs"]

Point = tuple[float, float]

MOST_LINKS = 200_000  # most links of one entry, each of which is built for every replication


def pairs(
    rule: Connect,
    first: Sequence[str],
    second: Sequence[str],
    places_m: dict[str, Point],
) -> list[tuple[str, str]]:
    """Return the pairs of ids that get a link; for the rules see ``LinkEntry``.

    Raises
    ------
    ValueError
        With a message for the user, if the rule cannot be applied to these groups.
    """
    within = list(first) == list(second)
    if rule == "all" and len(first) * len(second) > MOST_LINKS:
        raise ValueError(
            f"'connect: all' makes {len(first) * len(second):,} links between these groups; expected at most "
            f"{MOST_LINKS:,}: connect them over a switch, or use another 'connect'"
        )
    match rule:
        case "all":
            return list(combinations(first, 2)) if within else list(product(first, second))
        case "ring":
            if not within:
                raise ValueError("'connect: ring' connects one group; name the same group twice in 'between'")
            return _ring(first)
        case _ if within:
            raise ValueError(f"'connect: {rule}' needs two groups; within one use 'all' or 'ring'")
        case "nearest":
            return _nearest(first, second, places_m)
        case "round-robin":
            return [(a, second[index % len(second)]) for index, a in enumerate(first)]
        case "one-to-one":
            if len(first) != len(second):
                raise ValueError(
                    f"'connect: one-to-one' needs groups of equal size, got {len(first)} and {len(second)}"
                )
            return list(zip(first, second, strict=True))


def _ring(group: Sequence[str]) -> list[tuple[str, str]]:
    if len(group) < 3:  # with two devices the closing link would duplicate the only one
        return list(combinations(group, 2))
    return [(a, group[(index + 1) % len(group)]) for index, a in enumerate(group)]


def _nearest(
    first: Sequence[str], second: Sequence[str], places_m: dict[str, Point]
) -> list[tuple[str, str]]:
    unplaced = [device for device in (*first, *second) if device not in places_m]
    if unplaced:
        raise ValueError(f"'connect: nearest' needs a 'place' for every device; '{unplaced[0]}' has none")
    # min() returns the first of equal distances, so a tie goes to the lower index.
    return [(a, min(second, key=lambda b: math.dist(places_m[a], places_m[b]))) for a in first]

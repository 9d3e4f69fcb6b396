"""Measured thresholds with propagated caches, as levels of the planners' table.

A token's confidences depend on where the tokens before it left, and thus on all thresholds. Answers are
therefore known only for the rules of a measured grid. Planners estimate the effect of a rule by its
thresholds with complete caches, since the tuning half of the text was not measured with propagated ones; the
mean number of blocks differs by 0.3 points at most (docs/explanation/exits-in-generation.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgesim.errors import PlacementError
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.strategies.early_exit.layout import Layout
from edgesim.world.fleet import Fleet

__all__ = ["measured_thresholds", "require_measured", "rule_of"]

_N_NEAREST = 3


def rule_of(
    thresholds: Sequence[float | None], layout: Layout, blocks: Sequence[int], *, by_entropy: bool
) -> ExitRule:
    """Return thresholds after sub-models [n_stages - 1] as a rule for all measured exits.

    Parameters
    ----------
    blocks : [n_exits - 1]
        Blocks after which inner exits were measured; where the layout has no exit, no token leaves.
    """
    never = -math.inf if by_entropy else math.inf
    at = {
        part.last: value for part, value in zip(layout.parts, thresholds, strict=False) if value is not None
    }
    return ExitRule(
        tuple(at.get(block, never) for block in blocks), "entropy" if by_entropy else "confidence"
    )


def measured_thresholds(layout: Layout, fleet: Fleet, *, by_entropy: bool) -> list[tuple[float, ...]]:
    """Return the thresholds, one per exit of the layout, that were measured with propagated caches.

    They include the case that no token leaves, which needs no measurement, as caches are then complete.

    Raises
    ------
    PlacementError
        If none was measured: no rule of this kind lets tokens leave at these exits only.
    """
    assert fleet.exits is not None
    kind, never = ("entropy", -math.inf) if by_entropy else ("confidence", math.inf)
    inner = fleet.exits.blocks[:-1]
    if not fleet.propagated_rules:
        raise PlacementError(
            "caches: propagate, but these answers were not measured with propagated caches; run `edgesim "
            "quality MODEL --generation` and give its 'paths' under 'quality', or use 'caches: recompute'"
        )
    found = []
    for rule in fleet.propagated_rules:
        at = dict(zip(inner, rule.thresholds, strict=True))
        closed = (value for block, value in at.items() if block not in layout.exit_blocks)
        if rule.kind == kind and all(value == never for value in closed):
            found.append(tuple(at[block] for block in layout.exit_blocks))
    if not found:
        raise PlacementError(
            f"caches: propagate with {len(layout.exit_blocks)} of {len(inner)} measured exits, after blocks "
            f"{_listed(layout.exit_blocks)}: no {kind} thresholds were measured for these alone; make "
            f"{len(inner) + 1} stages with 'cuts: {list(inner)}', or use 'caches: recompute'"
            + " or 'exit_rule: confidence'"
            * by_entropy
        )
    return sorted({*found, (never,) * len(layout.exit_blocks)})


def require_measured(
    fixed: Sequence[float], measured: Sequence[tuple[float, ...]], layout: Layout, *, by_entropy: bool
) -> None:
    """Raise PlacementError if the thresholds, one per exit of the layout, are not among the measured ones."""
    kind = "entropy" if by_entropy else "confidence"
    asked = ExitRule(tuple(fixed), kind)
    by_distance = sorted(measured, key=lambda each: asked.distance(ExitRule(each, kind)))
    if asked.distance(ExitRule(by_distance[0], kind)) == 0 and by_distance[0] == asked.thresholds:
        return
    raise PlacementError(
        f"thresholds: {_shown(asked.thresholds)} after blocks {_listed(layout.exit_blocks)}; with 'caches: "
        f"propagate' answers are known at {len(measured)} measured combinations only; the nearest are "
        f"{', '.join(map(_shown, by_distance[:_N_NEAREST]))}; use one of these, leave 'thresholds' out, or "
        "use 'caches: recompute'"
    )


def _shown(values: Sequence[float]) -> str:
    return "[" + ", ".join("never" if math.isinf(value) else f"{value:g}" for value in values) + "]"


def _listed(blocks: Sequence[int]) -> str:
    return ", ".join(map(str, blocks))

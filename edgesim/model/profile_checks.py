"""Validation of profile files: conditions, points and completeness of the grids."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from edgesim.model.ceilings import Ceilings
from edgesim.model.parts import Component
from edgesim.units import BYTE_RATE, COMPUTE_RATE, TIME, is_finite_number

__all__ = ["checked_ceilings", "conditions_problem", "points_problem"]

MOST_COUNTED = 1 << 31  # tokens, sequences, shards or repeats of a point

_KINDS: Mapping[str, type] = {
    "architecture": dict,
    "ceilings": dict,
    "device": str,
    "grid": dict,
    "host": dict,
    "measured_at": str,
    "threads": int,
    "versions": dict,
}
_WORDS = {dict: "an object", str: "text", int: "a whole number"}
_COUNTS = {"batch": 1, "n_new": 1, "n_context": 0, "n_repeats": 1, "n_shards": 1}
_COMPONENTS = tuple(component.value for component in Component)
_PHASES = ("prefill", "decode")
_NEEDED = (Component.EMBEDDING, Component.BLOCK, Component.HEAD, Component.STEP)


def conditions_problem(conditions: Mapping[str, Any]) -> str | None:
    """Return the problem with the conditions stated in a file, or None."""
    for key, kind in _KINDS.items():
        if key not in conditions:
            return f"it has no '{key}'"
        if not isinstance(conditions[key], kind) or isinstance(conditions[key], bool):
            return f"its '{key}' is {_shown(conditions[key])}; expected {_WORDS[kind]}"
    if not 1 <= conditions["threads"] <= MOST_COUNTED:
        return f"its 'threads' is {conditions['threads']}; expected 1 or more"
    model = conditions["architecture"]
    for key in ("config", "dtype", "name"):
        if not isinstance(model.get(key), str):
            return f"its architecture's '{key}' is {_shown(model.get(key))}; expected text"
    if not isinstance(conditions.get("kind", ""), str):
        return f"its 'kind' is {_shown(conditions['kind'])}; expected text"
    return None


def checked_ceilings(stated: Mapping[str, Any]) -> Ceilings:
    """Create the ceilings stated in a file.

    Raises
    ------
    ValueError
        With a complete sentence, if one is missing, not a number, or out of range.
    """
    for key, dimension in (("flop_per_s", COMPUTE_RATE), ("bytes_per_s", BYTE_RATE), ("overhead_s", TIME)):
        value = stated.get(key)
        if not is_finite_number(value) or not dimension.least <= value <= dimension.most:
            raise ValueError(
                f"its ceilings' '{key}' is {_shown(value)}; expected a number from {dimension.least:g} to "
                f"{dimension.most:g}"
            )
    return Ceilings(**{key: float(stated[key]) for key in ("flop_per_s", "bytes_per_s", "overhead_s")})


def points_problem(rows: Sequence[Mapping[str, Any]], *, is_causal: bool) -> str | None:
    """Return the first problem with a profile's points, or None if they are valid and fill their grids.

    Times must be positive and finite, counts whole and in range, and points unique. Apart from test points,
    the points of each component, phase and shard must fill a grid of batches, prompts and contexts. The whole
    model needs the four components charged in a pass, in each phase of its blocks. The halves of a block need
    times at the same calls as the block, or none at all; for a shard, block and both halves are required in
    each phase.
    """
    if not rows:
        return "it has no point"
    seen: dict[tuple[Any, ...], int] = {}
    grids: dict[tuple[str, str, int], set[tuple[int, int, int]]] = defaultdict(set)
    for number, row in enumerate(rows, 1):
        problem = _row_problem(row)
        if problem is not None:
            return f"point {number}: {problem}"
        of = row["component"], row["phase"], row["n_shards"]
        at = row["batch"], row["n_new"], row["n_context"]
        if (*of, *at) in seen:
            return f"point {number}: the same as point {seen[*of, *at]} ({_place(row)}); expected each once"
        seen[*of, *at] = number
        if not row["held_out"]:
            grids[of].add(at)
    return _gap(grids) or _missing(grids, is_causal) or _halved(grids)


def _row_problem(row: Mapping[str, Any]) -> str | None:
    if row["component"] not in _COMPONENTS:
        return f"its component is {_shown(row['component'])}; expected {', '.join(_COMPONENTS)}"
    if row["phase"] not in _PHASES:
        return f"its phase is {_shown(row['phase'])}; expected {' or '.join(_PHASES)}"
    for key, least in _COUNTS.items():
        value = row[key]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST_COUNTED:
            return f"its {key} is {_shown(value)}; expected a whole number from {least}"
    if row["phase"] == "decode" and not (row["n_new"] == 1 and row["n_context"] > 0):
        return f"decode of {row['n_new']} tokens after {row['n_context']}; expected 1 after 1 or more"
    if not isinstance(row["held_out"], bool):
        return f"held_out is {_shown(row['held_out'])}; expected true or false"
    for key, may_be_zero in (("median_s", False), ("spread_s", True), ("predicted_s", False)):
        value = row[key]
        if key == "predicted_s" and value is None:
            continue
        if (
            not is_finite_number(value)
            or not TIME.holds(value)
            or value < 0
            or (value == 0 and not may_be_zero)
        ):
            return f"its {key} is {_shown(value)} ({_place(row)}); expected a time of {TIME.range_text}"
    return None


def _gap(grids: Mapping[tuple[str, str, int], set[tuple[int, int, int]]]) -> str | None:
    """Return the first point missing from a grid; only the first, so that no product is expanded in full."""
    for (component, phase, n_shards), points in grids.items():
        axes = [sorted({point[axis] for point in points}) for axis in range(3)]
        if math.prod(map(len, axes)) == len(points):
            continue
        batch, n_new, n_context = next(point for point in product(*axes) if point not in points)
        return (
            f"no {phase} of the {component}{_of_shard(n_shards)} at batch {batch}, {n_new} new tokens and "
            f"{n_context} of context, though other points have each of these: the grid has a gap"
        )
    return None


def _missing(grids: Iterable[tuple[str, str, int]], is_causal: bool) -> str | None:
    """Return which component has no points, of those charged in every pass."""
    there = set(grids)
    decodes = is_causal and any(phase == "decode" for _, phase, _ in there)
    for phase in _PHASES if decodes else _PHASES[:1]:
        for component in _NEEDED:
            if (component.value, phase, 1) not in there:
                return f"no {phase} of the {component} except test points; expected some of each component"
    return None


def _halved(grids: Mapping[tuple[str, str, int], set[tuple[int, int, int]]]) -> str | None:
    """Return which of block, attention and MLP, whole or of a shard, lacks points that the others have."""
    blocks = (Component.BLOCK, Component.ATTENTION, Component.MLP)
    phases = [phase for phase in _PHASES if (Component.BLOCK.value, phase, 1) in grids]
    for n_shards in sorted({n for _, _, n in grids}):
        for phase in phases:
            calls = [grids.get((component.value, phase, n_shards), set()) for component in blocks]
            if n_shards == 1 and not any(calls[1:]):
                continue
            for component, there in zip(blocks, calls, strict=True):
                missing = sorted(set().union(*calls).difference(there))
                if missing:
                    batch, n_new, n_context = missing[0]
                    return (
                        f"no {phase} of the {component}{_of_shard(n_shards)} at batch {batch}, {n_new} new "
                        f"tokens and {n_context} of context, unlike others of {', '.join(blocks)}"
                    )
    return None


def _of_shard(n_shards: int) -> str:
    return f"'s 1/{n_shards}" if n_shards > 1 else ""


def _place(row: Mapping[str, Any]) -> str:
    return (
        f"{row['phase']} of the {row['component']}{_of_shard(row['n_shards'])}, batch {row['batch']}, "
        f"{row['n_new']} new tokens, {row['n_context']} of context"
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

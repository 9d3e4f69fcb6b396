"""Estimates of the size of a generated graph from its options, to refuse graphs that exceed memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["MOST_COUNTED", "refuse_too_large"]

MOST_COUNTED = 100_000  # highest value of any count option; larger graphs must be files
_MOST_EDGES = 2_000_000  # or pairs of nodes that a generator examines one by one

Size = Callable[[Mapping[str, Any]], float]


def _power(base: float | str, exponent: str) -> Size:
    """Return the size function ``base ** exponent``, where the base can be a number or an option's name."""

    def size(options: Mapping[str, Any]) -> float:
        of = options[base] if isinstance(base, str) else base
        try:
            return math.pow(float(of), float(options[exponent]))
        except OverflowError:
            return math.inf

    return size


def _pairs(*names: str, times: str | None = None) -> Size:
    """Return the size function n²/2 of the sum n of some options, multiplied by the option `times`."""

    def size(options: Mapping[str, Any]) -> float:
        n = sum(float(options[name]) for name in names)
        return (float(options[times]) if times else 1.0) * n * n / 2

    return size


_SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "balanced_tree": _power("r", "h"),
        "barbell_graph": _pairs("m1", "m2"),
        "binomial_graph": _pairs("n"),
        "binomial_tree": _power(2.0, "n"),
        "caveman_graph": _pairs("k", times="l"),
        "complete_graph": _pairs("n"),
        "connected_caveman_graph": _pairs("k", times="l"),
        "dense_gnm_random_graph": _pairs("n"),
        "dorogovtsev_goltsev_mendes_graph": _power(3.0, "n"),
        "duplication_divergence_graph": _pairs("n"),
        "erdos_renyi_graph": _pairs("n"),
        "gaussian_random_partition_graph": _pairs("n"),
        "geographical_threshold_graph": _pairs("n"),
        "gnp_random_graph": _pairs("n"),
        "hypercube_graph": _power(2.0, "n"),
        "kneser_graph": lambda options: math.comb(int(options["n"]), int(options["k"])) ** 2 / 2,
        "lollipop_graph": _pairs("m", "n"),
        "margulis_gabber_galil_graph": _pairs("n"),
        "mycielski_graph": _power(3.0, "n"),
        "navigable_small_world_graph": _pairs("n"),
        "paley_graph": _pairs("p"),
        "planted_partition_graph": lambda options: (float(options["l"]) * float(options["k"])) ** 2 / 2,
        "random_geometric_graph": _pairs("n"),
        "relaxed_caveman_graph": _pairs("k", times="l"),
        "ring_of_cliques": _pairs("clique_size", times="num_cliques"),
        "soft_random_geometric_graph": _pairs("n"),
        "sudoku_graph": lambda options: 3.0 * float(options["n"]) ** 6 / 2,
        "thresholded_random_geometric_graph": _pairs("n"),
        "turan_graph": _pairs("n"),
        "waxman_graph": _pairs("n"),
        "windmill_graph": _pairs("k", times="n"),
    }
)
"""Number of edges, or of pairs examined, of generators for which it can exceed the product of the options."""


def refuse_too_large(graph: str, options: Mapping[str, Any]) -> None:
    """Refuse a graph that would be too large, without making it.

    Raises
    ------
    ValueError
        With a message for the user.
    """
    counts = {name: _counts(value) for name, value in options.items() if name != "seed"}
    for name, values in counts.items():
        for value in values:
            if value > MOST_COUNTED:
                raise ValueError(f"{graph}: {name} is {value}; expected at most {MOST_COUNTED}")
    try:
        n_edges = _SIZES[graph](options) if graph in _SIZES else 0.0
    except (KeyError, TypeError, ValueError, OverflowError):
        n_edges = 0.0  # options that the generator will reject
    if graph not in _SIZES:
        lone = [value for name, values in counts.items() if name != "tries" for value in values if value > 1]
        n_edges = float(math.prod(lone[:8])) if _is_product(options) else float(sum(lone))
    if n_edges > _MOST_EDGES:
        raise ValueError(
            f"{graph}: with these options it would create or examine about {n_edges:.2g} edges; expected "
            f"at most {_MOST_EDGES:,}: make it smaller, or give a file"
        )


def _is_product(options: Mapping[str, Any]) -> bool:
    """Whether sizes multiply, as those of a grid; listed degrees, or parts, add up."""
    return "dim" in options or not any(isinstance(value, list | tuple) for value in options.values())


def _counts(value: object) -> list[int]:
    """Return the whole numbers in an option's value, including those in lists."""
    if isinstance(value, list | tuple):
        return [one for item in value for one in _counts(item)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []

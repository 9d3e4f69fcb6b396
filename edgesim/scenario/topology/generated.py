"""Graphs made by networkx's generators, selected by name in a scenario."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import networkx as nx

from edgesim.nearest import suggest
from edgesim.scenario.topology.generator_sizes import refuse_too_large

__all__ = ["generate_edges", "generators"]

_REFUSALS = (nx.NetworkXException, TypeError, ValueError, ArithmeticError, LookupError, AttributeError)
_NEVER_OPTIONS = frozenset({"create_using", "backend", "backend_kwargs"})
"""Parameters of networkx's interface that a scenario cannot set."""


def generators() -> dict[str, Callable[..., Any]]:
    """Return networkx's graph generators that take plain options only, by name."""
    public = {name: getattr(nx, name) for name in dir(nx) if not name.startswith("_")}
    return {
        name: function
        for name, function in public.items()
        if getattr(function, "__module__", "").startswith("networkx.generators.")
        and inspect.isfunction(inspect.unwrap(function))
        and "G" not in inspect.signature(function).parameters
    }


def generate_edges(graph: str, options: dict[str, Any], seed: int) -> tuple[int, list[tuple[int, int]]]:
    """Generate a graph and return its number of nodes and its edges, numbered in the generator's order.

    Parameters
    ----------
    graph
        Name of a generator, such as ``grid_2d_graph``.
    options
        Parameters of the generator.
    seed
        Seed for a generator with a parameter `seed`, unless the options give one.

    Raises
    ------
    ValueError
        With a message for the user, if there is no such generator, if it does not accept these options, or if
        the result is not a simple undirected graph.
    """
    known = generators()
    if graph not in known:
        raise ValueError(f"networkx has no undirected generator '{graph}'; {suggest(graph, known)}")
    function = known[graph]
    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in _NEVER_OPTIONS and parameter.kind is not parameter.VAR_KEYWORD
    ]
    names = [parameter.name for parameter in parameters]
    for option in options:
        if option not in names:
            raise ValueError(
                f"unknown key '{option}'; {graph} takes {', '.join(names)}; {suggest(option, names)}"
            )
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in options]
    if missing:
        raise ValueError(f"{graph} needs {', '.join(missing)} beside 'graph'")
    for name, value in options.items():
        # Generators would iterate over numbers given as text: "abc" is three nodes.
        if isinstance(value, str) and name in ("n", "m", "k", "h", "r", "d"):
            raise ValueError(f"{graph}: {name} is {value!r}; expected a number")
    given = options.get("seed")
    if isinstance(given, int) and given < 0:
        raise ValueError(f"{graph}: seed is {given}; expected 0 or more")
    refuse_too_large(graph, options)
    if "seed" in names:
        options = {"seed": seed % 2**32, **options}  # numpy's legacy generators take no larger seed
    return _number(graph, _call(graph, function, options))


def _call(graph: str, function: Callable[..., Any], options: dict[str, Any]) -> Any:
    try:
        return function(**options)
    except _REFUSALS as error:
        # Generators raise many kinds of errors for bad parameters, and all parameters are the user's.
        raise ValueError(f"{graph} refuses these options: {error}") from error


def _number(graph: str, made: Any) -> tuple[int, list[tuple[int, int]]]:
    if not isinstance(made, nx.Graph) or made.is_directed() or made.is_multigraph():
        raise ValueError(f"{graph} does not make a simple undirected graph; choose another generator")
    if nx.number_of_selfloops(made):
        raise ValueError(f"{graph} makes links from a node to itself with these options; choose others")
    index = {node: number for number, node in enumerate(made)}
    return len(index), [(index[a], index[b]) for a, b in made.edges]

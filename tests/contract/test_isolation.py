"""Runs share nothing: what is kept anywhere but in a run's state is found, wherever it is hidden."""

from __future__ import annotations

import random
import string
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import toys

from edgesim.snapshot import Snapshot, globals_of
from edgesim.strategy import Strategy
from edgesim.testing import check_strategy, worlds

ONE_WORLD = "two devices"
PLUGIN = Path(__file__).resolve().parents[1] / "plugin_example" / "src"


@pytest.fixture(autouse=True)
def _one_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a strategy keeps things does not depend on the world."""
    there = {ONE_WORLD: worlds()[ONE_WORLD]}
    monkeypatch.setattr("edgesim.testing.strategies.worlds", lambda: there)


HIDDEN = [
    ("GlobalList", r"toys\._SEEN\[\d+\]"),
    ("GlobalName", r"toys\._LAST"),
    ("Nested", r"toys\._COUNTS\['requests'\]\[0\]"),
    ("Iterator", r"toys\._TURN"),
    ("OwnGenerator", r"toys\._NUMBERS\("),
    ("WeakStore", r"toys\._BY_RUN\.data"),
    ("ThreadStore", r"toys\._BY_THREAD\.last"),
    ("ContextStore", r"toys\._CONTEXT\(value\)"),
    ("Array", r"toys\._WEIGHTS"),
    ("Window", r"toys\._WINDOW\[\d\]"),
    ("NumpyStream", r"toys\._OWN_GENERATOR\(state\)\['state'\]"),
    ("PythonStream", r"toys\._OWN_RANDOM"),
    ("Instance", r"toys\._COUNTER\.n_met"),
    ("OtherClass", r"toys\.Counter\.n "),
    ("Private", r"the strategy\._met\[\d+\]"),
    ("ClassAttribute", r"toys\.ClassAttribute\.latest"),
    ("Default", r"toys\.Default\.note\(default 0\)\[\d+\]"),
    ("Closure", r"toys\.Closure\.note\(variable met\)\[\d+\]"),
    ("FunctionAttribute", r"toys\.square\.latest"),
    ("Option", r"the strategy\.table\['latest'\]"),
    ("InThePlacement", r"the placement\.memory\[\d+\]"),
]


@pytest.mark.parametrize(("name", "path"), HIDDEN, ids=[name for name, _ in HIDDEN])
def test_what_is_kept_outside_the_state_is_found(name: str, path: str) -> None:
    with pytest.raises(AssertionError, match=f"on the world '{ONE_WORLD}': {path}") as caught:
        check_strategy(getattr(toys, name)())
    assert "keep it in the state that begin(placement, model, fleet) makes for each run" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("CachedStore", r"toys\._store\(cached .*\)\[\d+\]"),
        ("CachedTable", r"toys\._table\(cached .*met.*\)\[\d+\]"),
    ],
)
def test_a_cache_may_grow_but_what_is_in_it_must_not_change(name: str, path: str) -> None:
    with pytest.raises(AssertionError, match=f"{path} changed during a run"):
        check_strategy(getattr(toys, name)())


@pytest.mark.parametrize(
    ("name", "whose"), [("GlobalRandom", "random"), ("GlobalNumpyRandom", "numpy.random")]
)
def test_the_global_generators_are_not_to_be_drawn_from(name: str, whose: str) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - it is what is watched
    with pytest.raises(AssertionError, match=f"global generator of {whose}, which.* use cluster.random"):
        check_strategy(getattr(toys, name)())
    after = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert after == before  # the caller's own


def test_draws_that_follow_from_no_seed_are_found() -> None:
    with pytest.raises(AssertionError, match="two runs with one seed differ; draw from cluster"):
        check_strategy(toys.Unseeded())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("SharedState", "state"),
        ("SharedPart", r"state\['known'\]\[1\]\['of'\]"),
        ("SharedArray", r"state\['weights'\]"),
        ("SharedGenerator", r"state\['rng'\]"),
        ("SharedInClosure", r"state\['act'\]\(variable met\)"),
        ("SharedMethod", r"state\[0\]\(self\)"),
    ],
)
def test_states_of_two_runs_have_nothing_in_common_that_may_change(name: str, path: str) -> None:
    with pytest.raises(
        AssertionError, match=f"{path} is the same object in the states of two runs; begin mu"
    ):
        check_strategy(getattr(toys, name)())


def test_a_state_that_is_made_anew_may_name_what_does_not_change() -> None:
    """The placement, the model, functions with caches, and a law of scipy's, which could draw."""
    check_strategy(toys.Stateful())


@pytest.mark.parametrize("kind", [toys.Elsewhere, toys.ByTurns])
def test_what_is_kept_out_of_sight_shows_in_runs_beside_or_inside_one_another(
    kind: type[Strategy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(string, "met", [], raising=False)
    with pytest.raises(AssertionError, match="two runs with one seed differ"):
        check_strategy(kind())


def test_what_an_object_works_out_when_asked_is_no_change() -> None:
    graph = nx.path_graph(3)
    before = Snapshot({"graph": graph}, ())
    list(graph.edges)
    graph.adj  # noqa: B018 - it is worked out here
    later = Snapshot({"graph": graph}, ())
    assert before.difference(later) is None
    graph.add_edge(0, 2)
    assert later.difference(Snapshot({"graph": graph}, ())) is not None


def test_of_a_package_all_modules_are_watched_and_of_a_folder_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))
    from edgesim_example_plugin import RoundRobin
    from edgesim_example_plugin.bandit import Bandit

    for kind in (RoundRobin, Bandit):
        watched = {path.rpartition(".")[0] for path in globals_of([kind])}
        assert watched == {"edgesim_example_plugin", "edgesim_example_plugin.bandit"}
    assert {path.partition(".")[0] for path in globals_of([toys.Stateful])} == {"toys"}
    assert {path.rpartition(".")[0] for path in globals_of([toys.Local])} == {"edgesim.strategies.local"}

"""Conformance test for serving disciplines."""

from __future__ import annotations

import pickle
from dataclasses import replace

from edgesim import plugins
from edgesim.engine.cluster import Cluster
from edgesim.engine.request import LiveRequest
from edgesim.engine.serving.iterating import IteratingStation
from edgesim.engine.serving.station import STATIONS
from edgesim.errors import InputError
from edgesim.model.architecture import Architecture
from edgesim.strategy import Placement, Serving, Stage, Strategy
from edgesim.testing.strategies import check_on, worlds
from edgesim.world.discipline import DISCIPLINES, ServingDiscipline
from edgesim.world.fleet import Fleet

__all__ = ["check_discipline"]

_WORLDS = (
    "one device",
    "a horizon",
    "little memory",
    "little memory, no queue",
    "users who wait for answers",
)


class _AtSource(Strategy):
    """Computes every request with the whole model at its source."""

    def place(self, model: Architecture, fleet: Fleet) -> Placement:
        """Put the whole model on every source."""
        return Placement(tuple(Stage(source, model.whole) for source in fleet.sources))

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Placement) -> Serving:
        """Compute and emit token by token."""
        part = placement.stages[0].part
        for token in request.tokens():
            yield from cluster.compute(request, request.source, part, token)
            yield from cluster.emit(request, request.source, token)


def check_discipline(discipline: ServingDiscipline) -> None:
    """Check that a discipline and its station satisfy their contract, with options as an author gives them.

    Choose options under which no request is rejected. On small worlds whose requests queue, with much and
    little memory, with and without a horizon:

    * every request ends, and completes if there is memory and time; each token passes every block once;
    * the trace obeys all its laws: no pass begins before it was asked for, busy times add up, memory and
      energy are conserved;
    * the same seed gives the same bytes, also if another run takes place during a run;
    * the discipline can be pickled, and both it and its station are found by its name.

    Raises
    ------
    AssertionError
        With a sentence that states the violation and the world.
    ContractError
        If a pass is never served, so that its request waits indefinitely.
    """
    assert isinstance(discipline, ServingDiscipline), f"{discipline!r} is not a {DISCIPLINES.known_as}"
    try:
        if DISCIPLINES.check is not None:
            DISCIPLINES.check(type(discipline))
        found = plugins.load(DISCIPLINES, discipline.name)
        station = plugins.load(STATIONS, discipline.name)
    except InputError as error:
        raise AssertionError(str(error)) from None
    assert (
        not discipline.grows_caches or getattr(station, "withdraw", None) is not IteratingStation.withdraw
    ), (
        f"{discipline!r} grows caches, and its station does not withdraw the passes of preempted requests; "
        "give it a method withdraw"
    )
    assert found is type(discipline), (
        f"{discipline!r} is called {discipline.name!r}, a name under which {found.__qualname__} is found; "
        "give it the name of its entry point"
    )
    again = pickle.loads(pickle.dumps(discipline))
    assert again == discipline, f"{discipline!r} was unpickled as {again!r}; make it a frozen dataclass"
    every = worlds()
    for name in _WORLDS:
        devices = {id_: replace(device, serving=discipline) for id_, device in every[name].devices.items()}
        try:
            check_on(name, replace(every[name], devices=devices), _AtSource())
        except InputError as error:
            raise AssertionError(f"{discipline!r} on the world '{name}': {error}") from error

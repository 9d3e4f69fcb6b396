"""The contract of a strategy, what it decides before time zero, and how strategies are found.

A strategy is a value: its fields are its options in a scenario, and nothing else. It arrives through the
entry point group ``edgesim.strategies``, edgesim's own strategies like anybody's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from edgesim import plugins
from edgesim.engine.cluster import Cluster
from edgesim.engine.collective.sums import Summing
from edgesim.engine.observation.device_state import DeviceState
from edgesim.engine.observation.link_state import LinkState, RouteState
from edgesim.engine.observation.observation import Knowledge, Observation
from edgesim.engine.own_state import check_calls
from edgesim.engine.process.verb import DeviceDown, MessageLost, WorkLost
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.errors import InputError, PlacementError, StrategyError
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.architecture import Architecture, Slice
from edgesim.model.sharding import TensorShard, to_heads
from edgesim.nearest import suggest
from edgesim.planning.policies.training import Training
from edgesim.planning.splitting.utility import Utility
from edgesim.plugins import EntryPointGroup
from edgesim.radio.collective.over_the_air import Scaling
from edgesim.world.fleet import Fleet
from edgesim.world.holdings import held_bytes

__all__ = [
    "STRATEGIES",
    "CacheFill",
    "Cluster",
    "DeviceDown",
    "DeviceState",
    "ExitRule",
    "Fleet",
    "Knowledge",
    "LinkState",
    "LiveRequest",
    "MessageLost",
    "Observation",
    "Placement",
    "RouteState",
    "Scaling",
    "Serving",
    "Slice",
    "Stage",
    "Strategy",
    "Summing",
    "TensorShard",
    "Token",
    "Training",
    "Utility",
    "WorkLost",
    "check_memory",
    "discover",
    "discover_all",
    "strategy_class",
    "to_heads",
]


Serving = Generator[Any, Any, None]
"""What ``serve`` is: a generator that yields from the cluster's verbs."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the model on a device."""

    device: str
    part: Slice


@dataclass(frozen=True)
class Placement:
    """Which device holds which part of the model, from time zero to the end of the run.

    Strategies with more to remember subclass it; the engine reads ``stages`` only.
    """

    stages: tuple[Stage, ...]

    @property
    def shards(self) -> Mapping[str, TensorShard]:
        """What devices hold of every block where they hold it together; a device not named holds it whole."""
        return {}

    @property
    def groups(self) -> Mapping[tuple[str, ...], Summing]:
        """Groups that hold blocks together, and how each sums; tried before time zero."""
        return {}

    @property
    def exit_rules(self) -> Collection[tuple[ExitRule, CacheFill]]:
        """Rules by which tokens leave, and ways to fill caches, that are held to what was measured.

        Before time zero, like `groups`: with propagated caches answers are known on a grid of rules only
        (:meth:`edgesim.engine.cluster.Cluster.check_exits`).
        """
        return ()

    @property
    def remark(self) -> str:
        """What a user should know of how it was decided, such as how far from the best it may be."""
        return ""

    @cached_property
    def holdings(self) -> Mapping[str, tuple[Slice, ...]]:
        """Parts held by each device."""
        held: dict[str, tuple[Slice, ...]] = defaultdict(tuple)
        for stage in self.stages:
            held[stage.device] += (stage.part,)
        return dict(held)

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """Every device that holds a part."""
        return tuple(self.holdings)


class Strategy(BaseModel):
    """A way of serving requests with the model spread over the fleet.

    A subclass declares its options as fields (pydantic: types, defaults, validators), decides once in
    :meth:`place` and acts in :meth:`serve`. What it decides before time zero belongs into the placement, what
    it learns during a run into the state that :meth:`begin` makes for that run; it keeps nothing itself,
    for one strategy serves many runs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cuts_blocks: ClassVar[bool] = False
    """Whether it gives devices shards of blocks, whose times have to be measured, too."""

    makes_state: ClassVar[bool] = False
    """Whether it has a state for each run; follows from whether :meth:`begin` is its own."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.makes_state = cls.begin is not Strategy.begin

    def place(self, model: Architecture, fleet: Fleet) -> Placement:
        """Decide, once and before time zero, which device holds which part of the model.

        Must be pure: the same model and fleet give the same placement.

        Raises
        ------
        PlacementError
            If it cannot be done; say what was needed, what there is, and what to change.
        """
        raise NotImplementedError

    def begin(self, placement: Any, model: Architecture, fleet: Fleet) -> Any:
        """Make the state of one run: of this strategy in one replication.

        A class that overrides this has the state handed to ``serve(request, cluster, placement, state)`` and
        ``control(cluster, placement, state)``, the very same object to every call of the run, and to nothing
        else. It must be made anew each time, and share no mutable part with that of another run
        (:func:`edgesim.testing.check_strategy` makes sure).

        Parameters
        ----------
        placement
            What :meth:`place` has returned.
        fleet
            Devices, network and workload of this replication, as they are known before time zero.
        """
        return None

    @property
    def needs_training(self) -> bool:
        """Whether a decision of it has to be trained before it can run.

        Such a strategy is placed as any other, is trained on what :meth:`training` says (by ``edgesim run``
        on first use, the policy being kept for later), and what runs is :meth:`with_policy` of the outcome.
        While it is trained, every decision of that name is made from outside: the choice that it would make
        itself is not asked for.
        """
        return False

    def training(self, placement: Any, model: Architecture, fleet: Fleet) -> Training | None:
        """Tell of the decision that can be trained, asked for through ``cluster.ask``; None if there is none.

        Called whether or not :attr:`needs_training`: ``edgesim train`` trains any strategy that has one. It
        must be pure, and say the same whichever policy is in force.

        Parameters
        ----------
        placement
            What :meth:`place` has returned.
        """
        return None

    @property
    def options_beside_training(self) -> Collection[str]:
        """Names of options that have no part of their own in what is learned: whatever they say, it is found.

        Those of another rule, such as a threshold, and those that :meth:`training` says in other words. What
        :meth:`with_policy` sets is one of them in any case.
        """
        return ()

    def with_policy(self, file: Path) -> Self:
        """Return the same strategy, deciding by the policy in a file; it no longer :attr:`needs_training`.

        Raises
        ------
        StrategyError
            If it has no way to; write this beside :meth:`training`.
        """
        raise StrategyError(
            f"strategy class {type(self).__qualname__}: it has no with_policy(self, file), so there is "
            "nothing that a policy could be given to"
        )

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Any, *state: Any, **_: Any) -> Serving:
        """Live one request's life: a generator that yields from the cluster's verbs.

        Write ``serve(self, request, cluster, placement)``, or with a state of the run (:meth:`begin`)
        ``serve(self, request, cluster, placement, state)``. It begins anew, with the same state, for a
        request that is served again after its work was lost.
        """
        raise NotImplementedError

    def control(self, cluster: Cluster, placement: Any, *state: Any, **_: Any) -> Serving | None:
        """Return a process of the strategy's own, for decisions at instants it chooses; None for none.

        Write ``control(self, cluster, placement)``, or with a state of the run
        ``control(self, cluster, placement, state)``. It may go on for ever: the run ends at the horizon or,
        without one, with the last request.
        """
        return None


def check_memory(placement: Placement, model: Architecture, fleet: Fleet) -> None:
    """Refuse a placement whose weights, beside the process and the smallest KV cache, do not fit.

    Raises
    ------
    PlacementError
        Naming the first device that is too small, what it would hold, and what it has.
    """
    known = {device.id for device in fleet.devices}
    for device, parts in placement.holdings.items():
        if device not in known:
            raise PlacementError(
                f"the placement names {device!r}, which computes nothing here; {suggest(device, known)}"
            )
        shard = placement.shards.get(device)
        weight_bytes = held_bytes(model, parts, shard)
        n_blocks = sum(part.n_blocks for part in parts)
        cache_bytes = (model if shard is None else shard).kv_bytes_per_token(n_blocks)
        room_bytes = fleet.room_bytes(device)
        load_copies = fleet.device(device).load_copies
        overlap = [b for b, n in Counter(b for p in parts for b in range(p.first, p.last)).items() if n > 1]
        if overlap:
            raise PlacementError(f"{device!r} is given block {overlap[0]} twice")
        if weight_bytes + cache_bytes > room_bytes:
            raise PlacementError(
                f"{device!r} would hold {', '.join(map(str, parts))} of {model.name} in {model.dtype}: "
                f"{weight_bytes / 1e9:.2f} GB of weights, and has {room_bytes / 1e9:.2f} GB for them; "
                "give it fewer blocks, use a smaller model or dtype, or name devices with more memory"
            )
        if load_copies * weight_bytes > room_bytes:
            raise PlacementError(
                f"{device!r} would hold {', '.join(map(str, parts))} of {model.name} in {model.dtype}: "
                f"{weight_bytes / 1e9:.2f} GB of weights, of which loading holds {load_copies:g} copies at "
                f"its peak (load_copies), {load_copies * weight_bytes / 1e9:.2f} GB; it has "
                f"{room_bytes / 1e9:.2f} GB beside its process; give it fewer blocks, use a smaller model or "
                "dtype, or name devices with more memory"
            )


STRATEGIES: EntryPointGroup[type[Strategy]] = EntryPointGroup(
    "edgesim.strategies",
    "strategy",
    "strategies",
    Strategy,
    "edgesim.Strategy",
    StrategyError,
    check_calls,
)
"""Strategies arrive through this group of entry points, edgesim's own like anybody's."""


def discover_all() -> dict[str, type[Strategy] | InputError]:
    """Load every installed strategy; in the place of one that cannot be loaded stands why."""
    return plugins.discover_all(STRATEGIES)


def discover() -> dict[str, type[Strategy]]:
    """Load every installed strategy, by its name in scenarios.

    Raises
    ------
    StrategyError
        If an installed plugin cannot be imported, or is no strategy.
    """
    return plugins.discover(STRATEGIES)


def strategy_class(name: str) -> type[Strategy]:
    """Load one installed strategy.

    Raises
    ------
    StrategyError
        If none has that name; the message names the nearest.
    """
    return plugins.load(STRATEGIES, name)

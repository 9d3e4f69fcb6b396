"""The interface of strategies: base class, placement, memory check and discovery.

A strategy is an immutable value whose fields are its options in a scenario. All strategies, including
edgesim's own, are registered through the entry point group ``edgesim.strategies``.
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
from edgesim.world.holdings import parts_bytes

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
"""Type of ``serve`` and ``control`` processes: a generator that yields from the cluster's verbs."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the model (a slice of its blocks) assigned to a device."""

    device: str
    part: Slice


@dataclass(frozen=True)
class Placement:
    """Assignment of model parts to devices, fixed from time zero to the end of the run.

    A strategy that decides more before time zero subclasses it and adds fields.
    """

    stages: tuple[Stage, ...]

    @property
    def shards(self) -> Mapping[str, TensorShard]:
        """Tensor shards by device, for devices that store part of every block; others store whole blocks."""
        return {}

    @property
    def groups(self) -> Mapping[tuple[str, ...], Summing]:
        """Groups of devices that share blocks, and how each adds partial sums; checked before time zero."""
        return {}

    @property
    def exit_rules(self) -> Collection[tuple[ExitRule, CacheFill]]:
        """Early-exit rules and cache fills that the strategy uses; checked before time zero.

        With propagated caches, answers were measured for a grid of rules only: any other rule is refused
        (:meth:`edgesim.engine.cluster.Cluster.check_exits`).
        """
        return ()

    @property
    def remark(self) -> str:
        """A note to the user about how the placement was found, such as its optimality gap; may be empty."""
        return ""

    @cached_property
    def holdings(self) -> Mapping[str, tuple[Slice, ...]]:
        """Parts of the model by device."""
        parts: dict[str, tuple[Slice, ...]] = defaultdict(tuple)
        for stage in self.stages:
            parts[stage.device] += (stage.part,)
        return dict(parts)

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """Ids of the devices that hold a part of the model."""
        return tuple(self.holdings)


class Strategy(BaseModel):
    """Base class of strategies: where to place the model, and how to serve each request with it.

    A subclass declares its options as pydantic fields, assigns the model to devices in :meth:`place`, and
    serves requests in :meth:`serve`. Store decisions made before time zero in the placement, and anything
    learned during a run in the state returned by :meth:`begin`. Keep nothing in the strategy itself: one
    instance serves many runs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cuts_blocks: ClassVar[bool] = False
    """Whether :meth:`place` assigns shards of blocks to devices; profiles then include times of shards."""

    makes_state: ClassVar[bool] = False
    """Whether each run has a state; set automatically, true if the class overrides :meth:`begin`."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.makes_state = cls.begin is not Strategy.begin

    def place(self, model: Architecture, fleet: Fleet) -> Placement:
        """Assign the parts of the model to devices; called before time zero.

        Must be deterministic and free of side effects: the same model and fleet give the same placement.

        Raises
        ------
        PlacementError
            If there is no feasible placement. State what was needed, what is available, and what to change.
        """
        raise NotImplementedError

    def begin(self, placement: Any, model: Architecture, fleet: Fleet) -> Any:
        """Create the state of one run (this strategy in one replication).

        If a class overrides this method, every call of ``serve(request, cluster, placement, state)`` and
        ``control(cluster, placement, state)`` in the run receives the returned object; nothing else does.
        Return a new object each time, sharing no mutable part with the state of another run
        (:func:`edgesim.testing.check_strategy` verifies this).

        Parameters
        ----------
        placement
            Return value of :meth:`place`.
        fleet
            Devices, network and workload of this replication, as known before time zero.
        """
        return None

    @property
    def needs_training(self) -> bool:
        """Whether the strategy needs a trained policy before it can run.

        Such a strategy is placed like any other and trained as :meth:`training` specifies (``edgesim run``
        trains it on first use and keeps the policy). The run then uses the strategy that :meth:`with_policy`
        returns. During training, the trainer makes every decision with the name given by :meth:`training`;
        the strategy's own choice is not evaluated.
        """
        return False

    def training(self, placement: Any, model: Architecture, fleet: Fleet) -> Training | None:
        """Return the specification of the decision to train, or None if there is none.

        The strategy requests that decision through ``cluster.ask``. This method is called even if
        :attr:`needs_training` is false: ``edgesim train`` trains any strategy that has such a decision. It
        must be free of side effects and return the same for any current policy.

        Parameters
        ----------
        placement
            Return value of :meth:`place`.
        """
        return None

    @property
    def options_beside_training(self) -> Collection[str]:
        """Names of options that are not part of the key under which a trained policy is kept.

        These are options that do not affect training, such as a threshold of another decision rule, and
        options whose effect is contained in the return value of :meth:`training`, which is part of the key.
        Options that :meth:`with_policy` sets are left out in any case.
        """
        return ()

    def with_policy(self, file: Path) -> Self:
        """Return a copy that decides by the policy in `file` and whose :attr:`needs_training` is false.

        Raises
        ------
        StrategyError
            If the class does not override this method; a class that overrides :meth:`training` must.
        """
        raise StrategyError(
            f"strategy class {type(self).__qualname__}: it has no method with_policy, so it cannot use a "
            "trained policy; write with_policy(self, file)"
        )

    def serve(self, request: LiveRequest, cluster: Cluster, placement: Any, *state: Any, **_: Any) -> Serving:
        """Serve one request from arrival to completion: a generator that yields from the cluster's verbs.

        Write ``serve(self, request, cluster, placement)`` or, if the run has a state (:meth:`begin`),
        ``serve(self, request, cluster, placement, state)``. If the request's work is lost and the request is
        retried, this method is called again with the same state.
        """
        raise NotImplementedError

    def control(self, cluster: Cluster, placement: Any, *state: Any, **_: Any) -> Serving | None:
        """Return a control process that acts at instants of its choice, or None if there is none.

        Write ``control(self, cluster, placement)`` or, if the run has a state,
        ``control(self, cluster, placement, state)``. The process need not end: the run stops at the horizon
        or, without one, after the last request.
        """
        return None


def check_memory(placement: Placement, model: Architecture, fleet: Fleet) -> None:
    """Refuse a placement whose weights and smallest KV cache exceed the memory of a device.

    The memory available on a device is what its process leaves free.

    Raises
    ------
    PlacementError
        Naming the first device without enough memory, what it would hold, and how much it has.
    """
    known = {device.id for device in fleet.devices}
    for device, parts in placement.holdings.items():
        if device not in known:
            raise PlacementError(
                f"the placement names {device!r}, which is not a computing device; {suggest(device, known)}"
            )
        shard = placement.shards.get(device)
        weight_bytes = parts_bytes(model, parts, shard)
        n_blocks = sum(part.n_blocks for part in parts)
        cache_bytes = (model if shard is None else shard).kv_bytes_per_token(n_blocks)
        room_bytes = fleet.room_bytes(device)
        load_copies = fleet.device(device).load_copies
        overlap = [b for b, n in Counter(b for p in parts for b in range(p.first, p.last)).items() if n > 1]
        if overlap:
            raise PlacementError(f"{device!r} is assigned block {overlap[0]} twice; assign each block once")
        if weight_bytes + cache_bytes > room_bytes:
            raise PlacementError(
                f"{device!r} would hold {', '.join(map(str, parts))} of {model.name} in {model.dtype}: "
                f"{weight_bytes / 1e9:.2f} GB of weights, and has {room_bytes / 1e9:.2f} GB for them; "
                "assign it fewer blocks, use a smaller model or dtype, or name devices with more memory"
            )
        if load_copies * weight_bytes > room_bytes:
            raise PlacementError(
                f"{device!r} would hold {', '.join(map(str, parts))} of {model.name} in {model.dtype}: "
                f"{weight_bytes / 1e9:.2f} GB of weights; loading needs up to {load_copies:g} copies of them "
                f"(load_copies), {load_copies * weight_bytes / 1e9:.2f} GB, and {room_bytes / 1e9:.2f} GB "
                "are free beside its process; assign it fewer blocks, use a smaller model or dtype, or name "
                "devices with more memory"
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
"""Entry point group of strategies, edgesim's own included."""


def discover_all() -> dict[str, type[Strategy] | InputError]:
    """Load every installed strategy, by name; the value is an error for a strategy that cannot be loaded."""
    return plugins.discover_all(STRATEGIES)


def discover() -> dict[str, type[Strategy]]:
    """Load every installed strategy, by its name in scenarios.

    Raises
    ------
    StrategyError
        If an installed plug-in cannot be imported, or is not a strategy.
    """
    return plugins.discover(STRATEGIES)


def strategy_class(name: str) -> type[Strategy]:
    """Load one installed strategy by its name.

    Raises
    ------
    StrategyError
        If no strategy has that name (the message suggests the nearest), or it cannot be loaded.
    """
    return plugins.load(STRATEGIES, name)

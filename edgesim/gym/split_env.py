"""Environment of the published split problem over the event loop: a device, an edge, a request per step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from edgesim.gym.bundled import bundled_table
from edgesim.gym.event_loop_env import EventLoopEnv
from edgesim.gym.rewards import Passed
from edgesim.model.architecture import Architecture, Slice
from edgesim.model.ceilings import Ceilings
from edgesim.model.scaling import AnalyticTiming
from edgesim.planning.splitting.published import SplitProblem, published_problem
from edgesim.strategy import Cluster, Fleet, LiveRequest, Placement, Serving, Stage, Strategy
from edgesim.workload.arrivals import Deterministic
from edgesim.workload.lengths import Fixed
from edgesim.workload.requests import Workload
from edgesim.world.device import Device, Power
from edgesim.world.link import Link
from edgesim.world.world import World

__all__ = ["SplitEnv"]


class SplitEnv(EventLoopEnv):
    """Split selection as in Chen et al. 2024 (arXiv 2406.02616): observes loss probability and split.

    Registered as ``edgesim/Split-v0``. Every step is a request, which is computed on the device up to the
    split, sent, and computed on the edge from there. Actions, initial states, drift and reward are those of
    the problem (:mod:`edgesim.planning.splitting.published`); the reward uses the quality of its table. An
    episode terminates with its last request, because the number of steps is part of the problem.

    For other scenarios, and rewards of latency and energy, use
    :class:`~edgesim.gym.decision_env.DecisionEnv`.

    Not modelled: losses of messages (the channel only determines the problem's loss probability), and
    concurrent requests.

    Parameters
    ----------
    problem
        The decision problem; by default the published one on the bundled model's measured erasures.
    """

    def __init__(self, problem: SplitProblem | None = None, **options: Any) -> None:
        self.problem = published_problem(bundled_table()) if problem is None else problem
        settings: dict[str, Any] = {
            "decision": "split",
            "reward": _Published(self.problem),
            "low": self.problem.low.tolist(),
            "high": self.problem.high.tolist(),
        }
        super().__init__(_Walks(self.problem), **(settings | options))


@dataclass
class _State:
    loss: float
    split: int


@dataclass(frozen=True)
class _Published:
    """Reward of the problem for the state after a decision."""

    problem: SplitProblem

    def __call__(self, passed: Passed) -> float:
        problem, (loss, split), (first_loss, first_split) = (
            self.problem,
            passed.decision.seen,
            passed.first.seen,
        )
        base = problem.base(first_loss, first_split)
        _, _, reward = problem.step(loss, round(split), passed.action, base)
        return float(np.asarray(reward).item())


class _Walk(Strategy):
    """Strategy that requests a split decision for every request."""

    def begin(self, placement: _Places, model: Architecture, fleet: Fleet) -> list[_State]:
        return []

    def place(self, model: Architecture, fleet: Fleet) -> Placement:
        raise NotImplementedError

    def serve(
        self, request: LiveRequest, cluster: Cluster, placement: _Places, state: list[_State]
    ) -> Serving:
        problem = placement.problem
        if not state:
            rng = cluster.random("start")
            loss = float(rng.uniform(*problem.start_loss))
            state.append(_State(loss, int(rng.choice(problem.start_splits))))
        now = state[0]
        stays = int(problem.moves.towards[now.split - problem.moves.first, now.split - problem.moves.first])
        action = yield from cluster.ask(
            "split",
            (now.loss, now.split),
            lambda: stays,
            n_actions=problem.moves.n_actions,
            request=request,
        )
        moved = problem.moves.after(now.split, action)
        drifted = now.loss * float(problem.drift.factor(moved - now.split))
        now.loss, now.split = min(max(drifted, 0.0), problem.most_loss), moved
        front, back = placement.parts[now.split]
        token = next(request.tokens())
        yield from cluster.compute(request, "device", front, token)
        yield from cluster.send(request, "device", "edge", token.activation_bytes)
        yield from cluster.compute(request, "edge", back, token)
        yield from cluster.emit(request, "edge", token)


@dataclass(frozen=True)
class _Places(Placement):
    """Placement of the whole model on device and edge each, so that it can be split after any block."""

    problem: SplitProblem
    parts: dict[int, tuple[Slice, Slice]]


class _Walks:
    """Source of episodes: one world, whose replications differ in the initial state."""

    def __init__(self, problem: SplitProblem) -> None:
        n_blocks = problem.moves.last + 1
        self._world = _world(n_blocks, problem.n_steps)
        whole = self._world.model.whole
        parts = {
            split: (Slice(0, split, embedding=True), Slice(split, n_blocks, head=True))
            for split in range(problem.moves.first, problem.moves.last + 1)
        }
        stages = (Stage("device", whole), Stage("edge", whole))
        self._placement, self._strategy = _Places(stages, problem, parts), _Walk()

    def episode(self, replication: int, rng: np.random.Generator) -> tuple[World, Strategy, Placement]:
        del rng
        return replace(self._world, replication=replication), self._strategy, self._placement


@cache
def _world(n_blocks: int, n_steps: int) -> World:
    model = Architecture.from_config(
        {
            "model_type": "llama",
            "hidden_size": 64,
            "intermediate_size": 192,
            "num_hidden_layers": n_blocks,
            "num_attention_heads": 4,
            "vocab_size": 256,
            "max_position_embeddings": 256,
        },
        name="split",
        dtype="float16",
    )
    slow, fast = Ceilings(1e10, 1e10, 1e-4), Ceilings(1e11, 1e11, 1e-4)
    devices = {
        id_: Device(
            id=id_,
            group=id_,
            kind="split",
            memory_bytes=1 << 34,
            timing=AnalyticTiming(model, ceilings),
            power=Power(idle_w=1.0, active_w=5.0, tx_w=0.5, rx_w=0.5),
        )
        for id_, ceilings in (("device", slow), ("edge", fast))
    }
    return World(
        model=model,
        devices=devices,
        links=(Link(between=("device", "edge"), rate_bps=5e7, latency_s=5e-3),),
        workload=Workload(
            arrivals=Deterministic(1.0),
            prompt_tokens=Fixed(16),
            output_tokens=Fixed(1),
            sources=("device",),
            n_requests=n_steps,
            horizon_s=None,
        ),
        seed=0,
    )

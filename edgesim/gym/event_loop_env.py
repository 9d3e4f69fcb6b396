"""Gymnasium environment over a simulator run that stops at every decision of one name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NoReturn, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from edgesim.engine.decisions import Decision
from edgesim.engine.request import LiveRequest
from edgesim.engine.simulation import Simulation
from edgesim.errors import InputError
from edgesim.gym.rewards import Ended, Passed, Reward
from edgesim.nearest import suggest
from edgesim.strategy import Placement, Strategy
from edgesim.world.world import World

__all__ = ["EventLoopEnv", "Source"]

Seen = NDArray[np.float32]
Bounds = float | Sequence[float]

_MOST_EMPTY = 100
"""Number of consecutive episodes without a decision after which an error is raised."""


class Source(Protocol):
    """Source of episodes."""

    def episode(self, replication: int, rng: np.random.Generator) -> tuple[World, Strategy, Placement]:
        """Return a replication; any further randomness is drawn from `rng`."""
        ...


class EventLoopEnv(gymnasium.Env[Seen, np.int64]):
    """Environment whose steps are the decisions of one name in runs of the simulator.

    A step answers the current decision and continues the run until the next decision of that name, of any
    request. Several requests may be in flight meanwhile.

    An episode *terminates* with the last request of a workload without a horizon. It is *truncated* when the
    scenario's horizon ends the run (there is then no new decision, and the last observation is returned
    again), and after `n_decisions`.

    ``reset(seed=...)`` reproduces an episode, byte for byte; ``reset()`` begins the next of the environment's
    own stream, with a new replication. Option ``replication`` selects one.

    Parameters
    ----------
    source
        Source of episodes.
    decision
        Name of the decision.
    reward
        Reward function of the interval between two decisions.
    n_decisions
        Number of decisions after which an episode is truncated; None: no limit.
    low, high
        Bounds of the observations, for each number or for all; values beyond are clipped.
    illegal
        Treatment of an action that is not allowed: replaced by the nearest allowed one (the lower of two),
        which is given by ``info["action"]``; or refused.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (as gymnasium declares it)

    def __init__(
        self,
        source: Source,
        *,
        decision: str,
        reward: Reward,
        n_decisions: int | None = None,
        low: Bounds = -math.inf,
        high: Bounds = math.inf,
        illegal: Literal["nearest", "refuse"] = "nearest",
    ) -> None:
        if illegal not in ("nearest", "refuse"):
            raise InputError(f"illegal={illegal!r}: expected 'nearest' or 'refuse'")
        if n_decisions is not None and n_decisions < 1:
            raise InputError(f"n_decisions={n_decisions}: expected 1 or more, or None")
        self._source, self._name, self._reward = source, decision, reward
        self._n_decisions, self._illegal = n_decisions, illegal
        self._simulation: Simulation | None = None
        self._decision: Decision | None = None
        self._ended: list[LiveRequest] = []
        self._decided: dict[int, tuple[Decision, int]] = {}
        self._n_done = 0
        self._world: World | None = None
        first = self._first(0, np.random.default_rng(0))
        if first is None:
            self._refuse_silence()
        n_seen = len(first.seen)
        try:
            self._low, self._high = (
                np.broadcast_to(np.asarray(bound, np.float32), n_seen).copy() for bound in (low, high)
            )
        except ValueError:
            raise InputError(
                f"low={low}, high={high}: expected a number, or {n_seen} numbers, as many as decision "
                f"{decision!r} has observations"
            ) from None
        if not (self._low <= self._high).all():  # also refuses NaN
            raise InputError(f"low={low}, high={high}: expected low bounds no higher than the high bounds")
        self._simulation = self._decision = None
        self.observation_space = gymnasium.spaces.Box(self._low, self._high, dtype=np.float32)
        self.action_space = gymnasium.spaces.Discrete(first.n_actions)
        self._shown = np.zeros(n_seen, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Begin an episode; return the observation at its first decision, and the info dictionary.

        Raises
        ------
        InputError
            If a hundred consecutive replications end without the decision.
        """
        super().reset(seed=seed)
        requested = (options or {}).get("replication")
        if requested is not None and not (isinstance(requested, int | np.integer) and requested >= 0):
            raise InputError(f"replication={requested!r}: expected a whole number of 0 or more")
        for _ in range(_MOST_EMPTY if requested is None else 1):
            number = int(self.np_random.integers(1 << 31)) if requested is None else int(requested)
            decision = self._first(number, self.np_random)
            if decision is not None:
                return self._show(decision), self._info()
        self._refuse_silence()

    def step(self, action: np.int64) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Take an action, and continue to the next decision.

        Raises
        ------
        gymnasium.error.ResetNeeded
            Before the first ``reset``, and after the end of an episode.
        ContractError
            For an invalid action; with ``illegal="refuse"`` also for one that is not allowed now.
        """
        simulation, decision, world = self._simulation, self._decision, self._world
        if simulation is None or decision is None or world is None:
            raise gymnasium.error.ResetNeeded("no episode is under way: call reset() before step()")
        taken = self._taken(decision, action)
        if decision.request_id is not None:
            self._decided[decision.request_id] = (decision, taken)
        simulation.decide(taken)
        following = simulation.advance()
        self._n_done += 1
        until_s = simulation.clock.now
        if following is None:
            for request in simulation.in_flight.values():
                simulation.cut_off(request)
                self._ended.append(request)
        passed = Passed(
            decision=decision,
            action=taken,
            first=self._began_with,
            next=following,
            from_s=decision.at_s,
            until_s=until_s,
            ended=self._take_ended(simulation),
        )
        reward = float(self._reward(passed))
        is_over = following is None
        terminated = is_over and world.horizon_s is None
        truncated = (is_over and not terminated) or (not is_over and self._n_done == self._n_decisions)
        if following is not None:
            self._show(following)
        n_completed = sum(one.outcome == "completed" for one in passed.ended)
        info = self._info() | {
            "action": taken,
            "n_completed": n_completed,
            "n_failed": len(passed.ended) - n_completed,
        }
        if terminated or truncated:
            self._simulation = self._decision = None
        return self._shown.copy(), reward, terminated, truncated, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return the mask of allowed actions; all True if no episode is in progress."""
        n_actions = int(self.action_space.n)  # type: ignore[attr-defined]
        if self._decision is None or self._decision.allowed is None:
            return np.ones(n_actions, np.bool_)
        return np.array(self._decision.allowed, np.bool_)

    # --- implementation ----------------------------------------------------------------------------

    def _first(self, replication: int, rng: np.random.Generator) -> Decision | None:
        """Begin a run, and continue to its first decision; return None if there is none."""
        world, strategy, placement = self._source.episode(replication, rng)
        self._ended, self._decided, self._n_done, self._world = [], {}, 0, world
        self._simulation = Simulation(
            world,
            strategy,
            placement,
            placement.holdings,
            _write_nothing,
            outside=self._name,
            on_end=self._ended.append,
        )
        self._decision = self._simulation.advance()
        if self._decision is not None:
            self._began_with = self._decision
        return self._decision

    def _refuse_silence(self) -> NoReturn:
        assert self._simulation is not None
        requested = self._simulation.cluster.decisions.names
        if not requested:
            raise InputError(
                f"decision {self._name!r}: the strategy requests no decisions. Let it call cluster.ask, or "
                "choose another strategy"
            )
        raise InputError(f"decision {self._name!r} never occurred; {suggest(self._name, requested)}")

    def _taken(self, decision: Decision, action: Any) -> int:
        number = np.asarray(action)
        plain = number.item() if number.size == 1 else action
        if self._illegal == "refuse" or decision.allowed is None or not isinstance(plain, int):
            return decision.checked(plain)
        if not 0 <= plain < decision.n_actions or decision.allowed[plain]:
            return decision.checked(plain)
        possible = [n for n, is_allowed in enumerate(decision.allowed) if is_allowed]
        return min(possible, key=lambda n: (abs(n - plain), n))

    def _show(self, decision: Decision) -> Seen:
        self._decision = decision
        self._shown = np.clip(np.array(decision.seen, np.float32), self._low, self._high)
        return self._shown.copy()

    def _info(self) -> dict[str, Any]:
        decision = self._decision
        return {
            "action_mask": self.action_masks().astype(np.int8),
            "at_s": math.nan if decision is None else decision.at_s,
            "request_id": -1 if decision is None or decision.request_id is None else decision.request_id,
        }

    def _take_ended(self, simulation: Simulation) -> tuple[Ended, ...]:
        if not self._ended:
            return ()
        energies_j = simulation.energy_j([request.id for request in self._ended])
        ended = tuple(
            self._summary(simulation, request, energy_j)
            for request, energy_j in zip(self._ended, energies_j, strict=True)
        )
        self._ended.clear()
        return ended

    def _summary(self, simulation: Simulation, request: LiveRequest, energy_j: float) -> Ended:
        nll = None if request.worth is None else request.worth.nll
        horizon_s = None if self._world is None else self._world.horizon_s
        ended_at_s = request.ended_at_s
        return Ended(
            id=request.id,
            source=request.source,
            outcome=str(request.outcome),
            counts=horizon_s is None or request.arrived_at_s < horizon_s,
            latency_s=math.nan if ended_at_s is None else ended_at_s - request.arrived_at_s,
            energy_j=energy_j,
            nll=math.nan if nll is None else nll,
            n_emitted_tokens=request.n_emitted_tokens,
            last=self._decided.pop(request.id, None),
        )


def _write_nothing(name: str, table: Any) -> None:
    """Discard a table: an environment writes no trace."""

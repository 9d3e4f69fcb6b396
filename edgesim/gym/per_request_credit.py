"""Trials of decisions with per-request credit: the utility of a decision's own request.

A decision's reward is the utility of its own request, not of all requests that end before the next decision,
which mostly depend on other decisions. Each request is tried with several actions: the same replication is
run repeatedly, so that the request has the same text and the same channel, and only differences between its
runs are used. The variation between requests is often many times the effect of a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgesim.engine.decisions import Decision
from edgesim.errors import InputError
from edgesim.gym.event_loop_env import EventLoopEnv
from edgesim.gym.rewards import Passed
from edgesim.planning.splitting.utility import Utility

__all__ = ["OwnCredit", "Tried", "try_actions"]

Floats = NDArray[np.float64]
LoadOf = Callable[[Sequence[float], int], float]
Act = Callable[[Sequence[float], Sequence[bool] | None], int]

_ENDED = ("completed", "failed")
_MOST_RUNS = 8
_MOST_FRUITLESS = 20


@dataclass(eq=False)
class OwnCredit:
    """Reward function that records decisions and, once their requests have ended, utilities; returns 0.

    As in evaluation, requests that arrive after the horizon do not count. A counted request that is censored
    after the whole cooldown counts as failed, so that under an overloading action the learning data are not
    limited to the requests that completed.

    Attributes
    ----------
    n_ended
        Number of requests in `rows` that were not censored.
    rows
        (request, decision, action, utility of the request), in the order in which requests ended.
    """

    utility: Utility
    load_of: LoadOf | None = None
    rows: list[tuple[int, Decision, int, float]] = field(default_factory=list)
    n_ended: int = 0
    _open: dict[int, list[tuple[Decision, int]]] = field(default_factory=dict)

    def begin(self) -> None:
        """Clear pending decisions and recorded rows, before another run."""
        self.rows, self._open, self.n_ended = [], {}, 0

    def __call__(self, passed: Passed) -> float:
        """Record the decision, and add rows for the decisions of requests that have ended."""
        decision = passed.decision
        if decision.request_id is not None:
            self._open.setdefault(decision.request_id, []).append((decision, passed.action))
        for ended in passed.ended:
            pairs = self._open.pop(ended.id, None)
            if pairs is None or not ended.counts:
                continue
            self.n_ended += ended.outcome in _ENDED
            last, taken = pairs[-1]
            worth = float(
                self.utility.value(
                    is_completed=[ended.outcome == "completed"],
                    nll=[ended.nll],
                    latency_s=[ended.latency_s],
                    energy_j=[ended.energy_j],
                    load=None if self.load_of is None else [self.load_of(last.seen, taken)],
                )[0]
            )
            self.rows += [(ended.id, decided, action, worth) for decided, action in pairs]
        return 0.0


@dataclass(frozen=True, eq=False)
class Tried:
    """Tried decisions, their actions, and the utilities of their requests.

    Attributes
    ----------
    seen : [n, n_seen]
        Observations.
    action : [n]
    utility : [n]
        Utility of the decision's own request.
    request : [n]
        Index of the request, equal only for the same request in runs of the same replication.
    allowed : [n, n_actions]
        Mask of allowed actions.
    """

    seen: Floats
    action: NDArray[np.int64]
    utility: Floats
    request: NDArray[np.int64]
    allowed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.action)

    def __add__(self, other: Tried) -> Tried:
        """Concatenate both, with distinct request indices."""
        offset = int(self.request.max()) + 1 if len(self) else 0
        return Tried(
            np.concatenate([self.seen, other.seen]),
            np.concatenate([self.action, other.action]),
            np.concatenate([self.utility, other.utility]),
            np.concatenate([self.request, other.request + offset]),
            np.concatenate([self.allowed, other.allowed]),
        )


def try_actions(
    env: EventLoopEnv,
    credit: OwnCredit,
    *,
    n_decisions: int,
    seed: int,
    n_runs: int | None = None,
    others: Act | None = None,
    share: float = 1.0,
    progress: Callable[[int], None] | None = None,
) -> Tried:
    """Run each replication several times, with a different action for every decision in each run.

    The actions of each decision are tried in a separate random order, so that each run follows a random
    policy, and after as many runs as there are actions each has been tried once.

    Parameters
    ----------
    env
        Environment over the event loop, with `credit` as its reward.
    n_decisions
        Number of tried decisions; sampling stops after the replication that reaches it.
    seed
        Seed of replications and orders.
    n_runs
        Runs per replication; by default the number of actions, at most eight.
    others, share
        Policy that decides for all but this share of requests; its requests are not recorded. The tried
        requests then see the system as it is under that policy.
    progress
        Called with the number of decisions tried so far.
    """
    n_actions = int(env.action_space.n)  # type: ignore[attr-defined]
    n_runs = n_runs or max(2, min(n_actions, _MOST_RUNS))
    rng = np.random.default_rng(seed)
    seen: list[tuple[float, ...]] = []
    actions: list[int] = []
    worths: list[float] = []
    requests: list[int] = []
    masks: list[tuple[bool, ...]] = []
    n_before, n_fruitless = 0, 0
    while len(actions) < n_decisions:
        replication = int(rng.integers(1 << 31))
        rows: list[tuple[int, Decision, int, float]] = []
        n_ended = 0
        for run in range(n_runs):
            order = _Order(seed, replication, run, n_actions, share if others is not None else 1.0)
            credit.begin()
            _run(env, replication, order, others)
            n_ended += credit.n_ended
            rows += [row for row in credit.rows if order.is_tried(row[0])]
            if progress is not None:
                progress(len(actions) + len(rows))
        n_fruitless = 0 if n_ended and rows else n_fruitless + 1
        if n_fruitless == _MOST_FRUITLESS:
            raise InputError(
                f"training: {n_fruitless} consecutive replications without a request that had a decision and "
                "ended; give the scenario a longer horizon"
            )
        if n_fruitless:
            continue
        names: dict[int, int] = {}
        for request, decision, action, worth in rows:
            seen.append(decision.seen)
            masks.append(decision.allowed or (True,) * n_actions)
            actions.append(action)
            worths.append(worth)
            requests.append(names.setdefault(request, len(names) + n_before))
        n_before += len(names)
    return Tried(
        np.array(seen, np.float64),
        np.array(actions, np.int64),
        np.array(worths, np.float64),
        np.array(requests, np.int64),
        np.array(masks, np.bool_),
    )


@dataclass(frozen=True)
class _Order:
    """Order in which a decision's actions are tried, drawn by request and position, independent of others."""

    seed: int
    replication: int
    run: int
    n_actions: int
    share: float

    def is_tried(self, request: int) -> bool:
        return self.share >= 1.0 or self._rng(request, 0).random() < self.share

    def action(self, request: int, place: int, allowed: Sequence[bool] | None) -> int:
        order = self._rng(request, place + 1).permutation(self.n_actions)
        if allowed is not None:
            order = order[np.asarray(allowed, np.bool_)[order]]
        return int(order[self.run % len(order)])

    def _rng(self, request: int, place: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.replication, request + 1, place))


def _run(env: EventLoopEnv, replication: int, order: _Order, others: Act | None) -> None:
    seen, info = env.reset(options={"replication": replication})
    places: dict[int, int] = {}
    is_over = False
    while not is_over:
        request, mask = int(info["request_id"]), env.action_masks().tolist()
        place = places[request] = places.get(request, -1) + 1
        if others is None or order.is_tried(request):
            action = order.action(request, place, mask)
        else:
            action = others(seen.tolist(), mask)
        seen, _, terminated, truncated, info = env.step(np.int64(action))
        is_over = terminated or truncated

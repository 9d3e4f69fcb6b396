"""Decisions with what their own request was worth, from runs in which they are tried against each other.

A decision's reward is the utility of the request that it was made for, not what ends until the next decision,
which is mostly others' doing. And a request is tried with several actions: the same replication is run again
and again, so that the same request meets the same text and the same channel, and only differences between
its runs count. What requests differ by anyway is often many times what a decision is worth.
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
    """A reward that keeps decisions until their requests have ended; to the learner itself it gives nothing.

    As where policies are judged, requests that arrive after the horizon do not count, and one that counts and
    is cut off, a whole cooldown later, has failed: of an action that overloads, not only those are learned
    from who got through.

    Attributes
    ----------
    n_ended
        Requests in `rows` that were not cut off.
    rows
        (request, decision, action, utility of the request), in the order in which requests ended.
    """

    utility: Utility
    load_of: LoadOf | None = None
    rows: list[tuple[int, Decision, int, float]] = field(default_factory=list)
    n_ended: int = 0
    _open: dict[int, list[tuple[Decision, int]]] = field(default_factory=dict)

    def begin(self) -> None:
        """Forget what is open, and what was kept: another run begins."""
        self.rows, self._open, self.n_ended = [], {}, 0

    def __call__(self, passed: Passed) -> float:
        """Keep the decision; settle those of requests that have ended."""
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
    """Decisions, actions and what their requests were worth.

    Attributes
    ----------
    seen : [n, n_seen]
    action : [n]
    utility : [n]
        Of the decision's own request.
    request : [n]
        Equal for rows of the same request in runs of the same replication, and for no others.
    allowed : [n, n_actions]
    """

    seen: Floats
    action: NDArray[np.int64]
    utility: Floats
    request: NDArray[np.int64]
    allowed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.action)

    def __add__(self, other: Tried) -> Tried:
        """Both, their requests told apart."""
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
    """Run replications, each several times, and try another action of every decision in each of its runs.

    Each decision's actions are drawn in an order of its own, so that a run is a random policy's, and after as
    many runs as there are actions each has been tried once.

    Parameters
    ----------
    env
        Over the event loop, with `credit` as its reward.
    n_decisions
        Stops after the replication in which so many have been tried.
    seed
        Of replications and orders.
    n_runs
        Of each replication; as many as there are actions, but eight at most, if not given.
    others, share
        Requests, all but this share of them, in which this policy decides, and which are not learned from:
        the others then meet what they would under that policy.
    progress
        Called with how many decisions have been tried.
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
                f"training: {n_fruitless} replications in turn without a request that was decided about and "
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
    """Which action is tried in a run of a replication: drawn by request and place, whatever comes between."""

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

"""State space of the exact latency search: classes of equal devices, times of block ranges, a lower bound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgesim.planning.chain import FloatArray, LatencyProblem

__all__ = ["Lattice", "Relaxation", "Step", "best_relaxation", "exchangeable_groups"]

N_PRICE_STEPS = 300
PATIENCE = 20  # price steps without a better bound before the step is halved
MOMENTUM = 0.7  # fraction of the last direction kept; without it tight fleets need ten times the steps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lattice:
    """A latency problem from one starter, with identical devices grouped into classes.

    Class 0 is the starter alone. It is first in the chain and occurs nowhere else.

    Attributes
    ----------
    members : [n_classes]
        Devices of each class.
    start_s
        Time before the first block.
    run_s : [n_classes, n_blocks + 1, n_blocks + 1]
        Time of blocks ``[k, j)`` on a device of the class; ``inf`` where they do not fit.
    hop_s : [n_classes, n_classes]
        Time from a device of one class to another device of the other; ``inf`` where there is no such device.
    end_s : [n_classes]
        Time after the last block, if a device of the class runs it.
    capacity : [n_classes]
        Most blocks that one device can hold.
    """

    members: tuple[tuple[int, ...], ...]
    start_s: float
    run_s: FloatArray
    hop_s: FloatArray
    end_s: FloatArray
    capacity: tuple[int, ...]

    @classmethod
    def of(cls, problem: LatencyProblem, starter: int, apart: FloatArray | None = None) -> Lattice:
        """Group the devices into classes, and tabulate each class's times and capacity.

        Devices with different values of ``apart`` [n_devices] are never in one class.
        """
        others = [device for device in range(problem.n_devices) if device != starter]
        groups = exchangeable_groups(problem, others, starter)
        if apart is not None:
            groups = [
                tuple(device for device in group if apart[device] == value)
                for group in groups
                for value in dict.fromkeys(float(apart[device]) for device in group)
            ]
        members = ((starter,), *groups)
        first = [group[0] for group in members]
        start_s = float(problem.embedding_s[starter])
        end_s = problem.back_s[first, starter]
        if problem.head_at == "starter":
            start_s += float(problem.head_s[starter])
        else:
            end_s = end_s + problem.head_s[first]
        run_s = _run_s(problem, members)
        return cls(
            members=members,
            start_s=start_s,
            run_s=run_s,
            hop_s=_hop_s(problem, members),
            end_s=end_s,
            capacity=tuple(_longest_run(runs) for runs in run_s),
        )

    @property
    def free(self) -> FloatArray:
        """Prices of 0 for every class."""
        return np.zeros(len(self.members))

    @property
    def n_blocks(self) -> int:
        """Number of blocks to place."""
        return int(self.run_s.shape[1]) - 1


@dataclass(frozen=True, slots=True)
class Step:
    """A transition of the search: run the blocks up to ``done`` on a device of class ``to``.

    ``excess_s`` is the increase of the bound; it is 0 along an optimal path of the relaxation.
    """

    excess_s: float
    to: int
    done: int


@dataclass(frozen=True, slots=True, eq=False)
class Relaxation:
    """The dynamic programme over (block, class) in which a device may be used repeatedly, at a price per use.

    With a price ``p_d >= 0`` on every use of a device of class d, the remaining cost of a chain after k
    blocks, the last on class c, is at least

        rest_s[k, c] - sum over classes d of p_d * (devices of class d still unused)

    for every choice of prices. This is a Lagrangian relaxation of "each device holds one range". The bound
    never falls along a chain. At prices 0 it is EdgeShard's programme restricted to ranges that fit.
    """

    lattice: Lattice
    price_s: FloatArray  # [n_classes]
    rest_s: FloatArray  # [n_blocks + 1, n_classes]

    @classmethod
    def at(cls, lattice: Lattice, price_s: FloatArray) -> Relaxation:
        """Solve the programme backwards from the last block: O(C N (N + C)) for N blocks and C classes."""
        n = lattice.n_blocks
        rest_s = np.full((n + 1, len(price_s)), math.inf)
        rest_s[n] = lattice.end_s
        for k in range(n - 1, -1, -1):
            enter_s = (lattice.run_s[:, k, k + 1 :] + rest_s[k + 1 :].T).min(axis=1) + price_s
            rest_s[k] = (lattice.hop_s + enter_s).min(axis=1)
        return cls(lattice, price_s, rest_s)

    @property
    def refund_s(self) -> float:
        """Sum of the prices of all devices, each used once; the bound starts by subtracting it."""
        return float(sum(p * len(group) for p, group in zip(self.price_s, self.lattice.members, strict=True)))

    @property
    def bound_s(self) -> float:
        """Lower bound on the latency of every chain that fits."""
        return min((step.excess_s for step in self.starts()), default=math.inf)

    def starts(self) -> list[Step]:
        """Return the starter's possible block ranges; ``excess_s`` is the bound of the whole chain."""
        lattice = self.lattice
        bound_s = lattice.start_s + lattice.run_s[0, 0] + self.rest_s[:, 0] - self.refund_s
        return [Step(float(bound_s[j]), 0, int(j)) for j in np.argsort(bound_s) if bound_s[j] < math.inf]

    def steps(self, done: int, last: int, below_s: float) -> list[Step]:
        """Return the transitions that raise the bound by less than ``below_s``, smallest increase first."""
        lattice = self.lattice
        run_s, rest_s = lattice.run_s[:, done, done + 1 :], self.rest_s[done + 1 :].T
        entry_s = lattice.hop_s[last] + self.price_s - self.rest_s[done, last]
        excess_s = np.maximum(entry_s[:, None] + run_s + rest_s, 0.0)  # rounding may leave -1e-17
        classes, ends = np.nonzero(excess_s < below_s)
        chosen = excess_s[classes, ends]
        order = np.argsort(chosen, kind="stable").tolist()
        columns = zip(chosen.tolist(), classes.tolist(), (ends + done + 1).tolist(), strict=True)
        listed = [Step(*column) for column in columns]
        return [listed[i] for i in order]

    def uses(self) -> npt.NDArray[np.int64]:
        """Return how often an optimal path uses each class; more uses than devices call for a price."""
        uses = np.zeros(len(self.price_s), dtype=np.int64)
        step: Step | None = self.starts()[0]
        while step is not None:
            if step.to:
                uses[step.to] += 1
            step = self._best_step(step)
        return uses

    def _best_step(self, step: Step) -> Step | None:
        done, lattice = step.done, self.lattice
        if done == lattice.n_blocks:
            return None
        ends_s = lattice.run_s[:, done, done + 1 :] + self.rest_s[done + 1 :].T
        to = int((lattice.hop_s[step.to] + self.price_s + ends_s.min(axis=1)).argmin())
        return Step(0.0, to, done + 1 + int(ends_s[to].argmin()))


def best_relaxation(rough: Relaxation, target_s: float) -> Relaxation:
    """Raise the bound by subgradient steps on the prices, with Polyak's step length towards ``target_s``.

    The target is the latency of a known chain. If none is known, it is 10 % above the best bound so far.
    """
    lattice, best, current = rough.lattice, rough, rough
    sizes = np.array([len(group) for group in lattice.members])
    bound_s, stride, n_idle, direction = best.bound_s, 1.0, 0, np.zeros(len(sizes))
    for _ in range(N_PRICE_STEPS):
        surplus = (current.uses() - sizes).astype(np.float64) if bound_s < target_s else np.zeros(len(sizes))
        surplus[0] = 0.0  # the starter occurs only at the head of the chain: it needs no price
        if not _upwards(surplus, current.price_s).any():
            break  # the target is reached, or prices cannot raise the bound further
        direction = _upwards(surplus + MOMENTUM * direction, current.price_s)
        aim_s = target_s if target_s < math.inf else 1.1 * bound_s
        length = stride * (aim_s - current.bound_s) / max(float(direction @ direction), 1.0)
        current = Relaxation.at(lattice, np.maximum(current.price_s + length * direction, 0.0))
        if current.bound_s > bound_s:
            best, bound_s, n_idle = current, current.bound_s, 0
            continue
        n_idle += 1
        if n_idle == PATIENCE:
            stride, n_idle, current, direction = stride / 2, 0, best, np.zeros(len(sizes))
    return best


def _upwards(direction: FloatArray, price_s: FloatArray) -> FloatArray:
    """Drop the components that would make a price negative."""
    return np.where((price_s == 0) & (direction < 0), 0.0, direction)


def exchangeable_groups(
    problem: LatencyProblem, devices: Iterable[int], starter: int | None = None
) -> list[tuple[int, ...]]:
    """Group devices that can be exchanged without effect: same times, same room, same hops to all others.

    If ``starter`` is given, the times that the devices would take as starter are ignored.
    Exchangeability is transitive (if i and j can be swapped, and j and k, so can i and k), so each device is
    compared with only one member of each group.
    """
    groups: list[list[int]] = []
    for device in devices:
        for group in groups:
            if _exchangeable(problem, device, group[0], starter):
                group.append(device)
                break
        else:
            groups.append([device])
    return [tuple(group) for group in groups]


def _exchangeable(problem: LatencyProblem, a: int, b: int, starter: int | None) -> bool:
    swap = np.arange(problem.n_devices)
    swap[[a, b]] = b, a

    def same(values: npt.NDArray[np.generic]) -> bool:
        return bool(values[a] == values[b])

    def unmoved(matrix_s: FloatArray) -> bool:
        return np.array_equal(matrix_s, matrix_s[np.ix_(swap, swap)])

    if starter is None:
        ends = same(problem.embedding_s) and same(problem.head_s) and unmoved(problem.back_s)
    else:
        ends = same(problem.back_s[:, starter]) and (problem.head_at == "starter" or same(problem.head_s))
    blocks = np.array_equal(problem.block_s[a], problem.block_s[b])
    room = all(same(room_bytes) for room_bytes, _ in problem.limits)
    return ends and blocks and room and unmoved(problem.hop_s)


def _hop_s(problem: LatencyProblem, members: Sequence[tuple[int, ...]]) -> FloatArray:
    hop_s = np.array([[problem.hop_s[a[0], b[-1]] for b in members] for a in members])
    for index, group in enumerate(members):
        if len(group) == 1:
            hop_s[index, index] = math.inf
    hop_s[:, 0] = math.inf  # no device sends to the starter before the end
    return hop_s


def _run_s(problem: LatencyProblem, members: Sequence[tuple[int, ...]]) -> FloatArray:
    n = problem.n_blocks
    first, end = np.arange(n + 1)[:, None], np.arange(n + 1)[None, :]
    ends_bytes = problem.embedding_bytes + (problem.head_bytes if problem.head_at == "starter" else 0)
    runs_s = []
    for index, group in enumerate(members):
        before_s = np.concatenate([[0.0], np.cumsum(problem.block_s[group[0]])])
        possible = end > first
        if index == 0:
            possible = (first == 0) & (end >= int(problem.first_block_at_starter))
        for all_room_bytes, block_bytes in problem.limits:
            before_bytes = np.concatenate([[0], np.cumsum(block_bytes)])
            taken_bytes = before_bytes[end] - before_bytes[first]
            if problem.head_at == "last":
                taken_bytes = taken_bytes + np.where(end == n, problem.head_bytes, 0)
            room_bytes = int(all_room_bytes[group[0]]) - (ends_bytes if index == 0 else 0)
            possible = possible & (taken_bytes <= room_bytes)
        runs_s.append(np.where(possible, before_s[end] - before_s[first], math.inf))
    return np.array(runs_s)


def _longest_run(run_s: FloatArray) -> int:
    first, end = np.nonzero(run_s < math.inf)
    return int((end - first).max(initial=0))

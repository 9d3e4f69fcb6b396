"""A group of devices that share a model's blocks, serving one pass at a time.

A pass alternates between computing a shard of half a block and summing over the group, twice in every block.
While a pass occupies a group nothing else can affect it, so the whole pass is one event: its end is computed
when it is requested. If members have a law of lateness, all lateness in a pass is drawn at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.engine.collective.lateness import LatenessDraws
from edgesim.engine.device.host import Host
from edgesim.engine.process.verb import RequestFailed
from edgesim.engine.recording import Recording
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.errors import ProfileError
from edgesim.model.architecture import Slice
from edgesim.model.profile import Timing
from edgesim.model.shard_timing import ShardTiming
from edgesim.model.sharding import TensorShard
from edgesim.trace.buffer import Parts, Spot
from edgesim.trace.schema import LinkKind, SpanKind

__all__ = ["AllReduce", "GroupPass", "Sum", "TensorGroup"]

_STRIDE = 256  # contexts whose times are tabulated at once


class Sum(NamedTuple):
    """One sum over the group.

    Attributes
    ----------
    seconds
        From when the last member is ready until all have the result.
    tx_s, rx_s, handling_s
        By member: time spent sending, receiving, and handling messages.
    at_ends_s
        Part of `seconds` in which the message that all wait for was handled or queued at its ends. For the
        rest it was on the wires, or on the air.
    error
        Mean squared error over the variance of the sum; 0 if values arrive unchanged.
    """

    seconds: float
    tx_s: tuple[float, ...]
    rx_s: tuple[float, ...]
    handling_s: tuple[float, ...]
    at_ends_s: float = 0.0
    error: float = 0.0


class AllReduce(Protocol):
    """An all-reduce over a group."""

    @property
    def link_kind(self) -> LinkKind:
        """Kind of link that the sums are sent over."""
        ...

    @property
    def is_constant(self) -> bool:
        """Whether a sum costs the same at any instant."""
        ...

    def sum(self, n_values: int, at_s: float, spent_j: Sequence[float]) -> Sum:
        """Sum a tensor of `n_values` values, beginning at an instant.

        Parameters
        ----------
        spent_j
            By member, the energy spent on computing its part [J].
        """
        ...


@dataclass(frozen=True, slots=True)
class GroupPass:
    """One pass of a group: its start and end, and the totals of its sums."""

    started_at_s: float
    ended_at_s: float
    compute_s: tuple[float, ...]
    """By member."""
    tx_s: tuple[float, ...]
    rx_s: tuple[float, ...]
    parts: tuple[Parts, ...]
    """By member: the times in which it does not compute."""
    errors: tuple[float, ...]
    """Of its sums, in order."""


class TensorGroup:
    """Devices that share every block.

    The first member is the root: in addition to its shard it stores the embedding and the head, and computes
    them alone.

    Parameters
    ----------
    hosts
        The members.
    shards
        Each member's shard of every block.
    part
        The blocks, and the ends stored by the root.
    all_reduce
        The all-reduce method.
    overhead_s
        Additional time of every sum, for synchronising the group.
    value_bytes
        Size of a value in a message; 0 for analog sums, which have none.
    lateness
        Draws of the members' lateness at sums; None: never late.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        shards: Mapping[str, TensorShard],
        part: Slice,
        all_reduce: AllReduce,
        overhead_s: float,
        recording: Recording,
        *,
        value_bytes: float,
        lateness: LatenessDraws | None = None,
    ) -> None:
        self._lateness = lateness
        self._hosts, self._part, self._all_reduce = tuple(hosts), part, all_reduce
        self._overhead_s, self._recording, self._value_bytes = overhead_s, recording, value_bytes
        self._timings = []
        for host in hosts:
            assert host.device.timing is not None
            self._timings.append(ShardTiming(host.device.timing, shards[host.device.id]))  # type: ignore[arg-type]
        root = hosts[0].device.timing
        assert root is not None
        self._root: Timing = root
        self._hidden_size = next(iter(shards.values())).model.hidden_size
        self._prefills: dict[tuple[int, int], tuple[NDArray[np.float64], float, float]] = {}
        self._decodes: dict[int, tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = {}
        self._compute_codes, self._sum_codes = [], []
        for number, host in enumerate(hosts):
            device, via = host.device, str(part) if number == 0 else f"shard of {part}"
            self._compute_codes.append(
                recording.code(Spot(SpanKind.COMPUTE, device.id, via=via, power_w=device.power.active_w))
            )
            power_w = device.power.tx_w + device.power.rx_w
            spot = Spot(SpanKind.ALL_REDUCE, device.id, power_w=power_w, link_kind=all_reduce.link_kind)
            self._sum_codes.append(recording.code(spot))

    @property
    def part(self) -> Slice:
        """The blocks that the members share, and the ends that the root stores."""
        return self._part

    def check(self, *, max_new: int, max_context: int) -> None:
        """Raise InputError unless these lengths of prompts and contexts can be priced, and sums made."""
        for timing in self._timings:
            timing.check(max_new=max_new, max_context=max_context)
        self._all_reduce.sum(self._hidden_size, 0.0, [0.0] * len(self._hosts))

    def run(self, request: LiveRequest, token: Token, now_s: float) -> GroupPass:
        """Book one pass, first come first served on all members at once.

        Raises
        ------
        RequestFailed
            If a member is out of reach, so that a sum would never end.
        """
        started_at_s = max(now_s, *(host.free_at_s for host in self._hosts))
        done = self._course(request, token, started_at_s)
        self._book(request, token, now_s, done)
        return done

    # --- the course of a pass ---------------------------------------------------------------------

    def _course(self, request: LiveRequest, token: Token, started_at_s: float) -> GroupPass:
        halves_s, before_s, after_s = self._times(token)
        n_values, n_blocks = token.n_new * self._hidden_size, self._part.n_blocks
        if self._lateness is None:
            ready_s = None
            ready = halves_s.max(axis=0)
        else:
            ready_s = self._lateness.ready_s(request, token, halves_s)
            ready = ready_s.mean(axis=0)
        slowest_s = ready.tolist()
        at_s, sums = started_at_s + before_s, []
        spent_j = [self._spent_j(halves_s[:, half]) for half in (0, 1)]
        if self._all_reduce.is_constant:
            pair = [self._all_reduce.sum(n_values, at_s, spent) for spent in spent_j]
            sums = pair * n_blocks
            at_s += n_blocks * (sum(slowest_s) + 2.0 * self._overhead_s + pair[0].seconds + pair[1].seconds)
            _check_reach(at_s)
        else:
            each_s = [slowest_s] * n_blocks if ready_s is None else ready_s.tolist()
            for block_s in each_s:
                for half in (0, 1):
                    at_s += block_s[half] + self._overhead_s
                    sums.append(self._all_reduce.sum(n_values, at_s, spent_j[half]))
                    at_s += sums[-1].seconds
                    _check_reach(at_s)
        compute_s = n_blocks * halves_s.sum(axis=1)
        compute_s[0] += before_s + after_s
        # In the same order as compute_s, so that for a member alone no rounding error remains.
        longest_s = n_blocks * float(ready.sum()) + (before_s + after_s)
        parts = self._parts(compute_s, longest_s, sums)
        for number, host in enumerate(self._hosts):
            if host.device.endpoint.on_compute:
                compute_s[number] += sum(one.handling_s[number] for one in sums)
        members = range(len(self._hosts))
        return GroupPass(
            started_at_s=started_at_s,
            ended_at_s=at_s + after_s,
            compute_s=tuple(compute_s.tolist()),
            tx_s=tuple(sum(one.tx_s[n] for one in sums) for n in members),
            rx_s=tuple(sum(one.rx_s[n] for one in sums) for n in members),
            parts=parts,
            errors=tuple(one.error for one in sums),
        )

    def _parts(
        self, compute_s: NDArray[np.float64], longest_s: float, sums: Sequence[Sum]
    ) -> tuple[Parts, ...]:
        """Return each member's times without computing.

        Parameters
        ----------
        compute_s
            By member, its own computing time.
        longest_s
            Time for which any member computes, or is late.
        """
        at_ends_s = sum(one.at_ends_s for one in sums)
        carried_s = sum(one.seconds for one in sums) - at_ends_s
        is_air = self._all_reduce.link_kind is LinkKind.RADIO
        handling_s = at_ends_s + len(sums) * self._overhead_s
        return tuple(
            Parts(
                straggler_s=max(0.0, longest_s - own_s),
                air_s=carried_s if is_air else 0.0,
                wire_s=0.0 if is_air else carried_s,
                handling_s=handling_s,
            )
            for own_s in compute_s.tolist()
        )

    def _spent_j(self, seconds: NDArray[np.float64]) -> list[float]:
        powers_w = [host.device.power.active_w for host in self._hosts]
        return [power_w * each_s for power_w, each_s in zip(powers_w, seconds.tolist(), strict=True)]

    def _times(self, token: Token) -> tuple[NDArray[np.float64], float, float]:
        """Return seconds of attention's and the MLP's shards, [n_members, 2], and of embedding and head."""
        if token.n_new != 1:
            asked = (token.n_new, token.n_context)
            if asked not in self._prefills:
                halves_s, before_s, after_s = self._looked_up(token.n_new, np.array([token.n_context]))
                self._prefills[asked] = (halves_s[:, :, 0], float(before_s[0]), float(after_s[0]))
            return self._prefills[asked]
        stride, place = divmod(token.n_context, _STRIDE)
        if stride not in self._decodes or place >= self._decodes[stride][1].size:
            first = stride * _STRIDE
            try:
                self._decodes[stride] = self._looked_up(1, np.arange(first, first + _STRIDE))
            except ProfileError:  # the stride exceeds the measured range; end it at the requested context
                self._decodes[stride] = self._looked_up(1, np.arange(first, token.n_context + 1))
        halves_s, before_s, after_s = self._decodes[stride]
        return halves_s[:, :, place], float(before_s[place]), float(after_s[place])

    def _looked_up(
        self, n_new: int, contexts: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        asked: dict[str, Any] = {"batch": 1, "n_new": n_new, "n_context": contexts}
        known: list[tuple[ShardTiming, Sequence[NDArray[np.float64]]]] = []
        halves_s = np.empty((len(self._timings), 2, contexts.size))
        for number, timing in enumerate(self._timings):
            # Often many members are of one kind and store equal shards.
            found = next((seconds for other, seconds in known if timing.costs_as(other)), None)
            if found is None:
                found = timing.halves_seconds(**asked)
                known.append((timing, found))
            for half in (0, 1):
                halves_s[number, half] = found[half]
        ends = [
            np.broadcast_to(
                self._root.seconds(Slice(0, 0, embedding, not embedding), **asked), contexts.shape
            )
            if has_end
            else np.zeros(contexts.shape)
            for embedding, has_end in ((True, self._part.embedding), (False, self._part.head))
        ]
        return halves_s, ends[0], ends[1]

    # --- the books --------------------------------------------------------------------------------

    def _book(self, request: LiveRequest, token: Token, now_s: float, done: GroupPass) -> None:
        error = sum(done.errors) / len(done.errors) if any(done.errors) else None
        size_bytes = 2 * self._part.n_blocks * token.n_new * self._hidden_size * self._value_bytes
        for number, host in enumerate(self._hosts):
            hold = host.occupy(
                now_s,
                done.started_at_s,
                done.ended_at_s,
                compute_s=done.compute_s[number],
                tx_s=done.tx_s[number],
                rx_s=done.rx_s[number],
            )
            times = (now_s, done.started_at_s, done.ended_at_s)
            self._recording.span(
                request.id,
                token.index,
                self._compute_codes[number],
                *times,
                n_tokens=token.n_new,
                share=hold.busy,
                parts=done.parts[number],
            )
            power = host.device.power
            power_w = power.tx_w + power.rx_w
            self._recording.span(
                request.id,
                token.index,
                self._sum_codes[number],
                *times,
                size_bytes=size_bytes,
                share=(hold.tx * power.tx_w + hold.rx * power.rx_w) / power_w if power_w else 0.0,
                error_variance=error,
            )


def _check_reach(at_s: float) -> None:
    if not math.isfinite(at_s):
        raise RequestFailed("a member of the group is out of the station's reach")

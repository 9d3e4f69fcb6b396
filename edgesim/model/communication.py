"""Measured costs of messages and sums between processes of one host, interleaved with computing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from edgesim.units import TIME, is_finite_number

__all__ = ["Communication", "Cost", "MessageCost", "SumCost"]

_MOST_BYTES = 1 << 40
_MOST_POINTS = 1000
_AWAKE = ("awake_send_s", "awake_receive_s")  # which older measurements lack


@dataclass(frozen=True, slots=True)
class Cost:
    """Affine cost in the size: seconds = fixed_s + size_bytes * s_per_byte."""

    fixed_s: float
    s_per_byte: float

    @classmethod
    def through(cls, sizes_bytes: Sequence[float], seconds: Sequence[float]) -> Self:
        """Fit nonnegative coefficients to measured points by least squares of relative errors.

        A single size gives a fixed cost only.
        """
        from scipy.optimize import nnls  # slow to import, and this module is imported with every profile

        sizes, wanted = np.asarray(sizes_bytes, float), np.maximum(np.asarray(seconds, float), 0.0)
        if np.unique(sizes).size < 2:
            return cls(float(np.mean(wanted)), 0.0)
        floor_s = max(float(wanted.max()) / 10.0, 1e-9)  # avoids division by costs near zero
        weights = 1.0 / np.maximum(wanted, floor_s)
        columns = np.stack([np.ones_like(sizes), sizes / sizes.max()], axis=1)
        found, _ = nnls(columns * weights[:, None], wanted * weights)
        return cls(float(found[0]), float(found[1] / sizes.max()))

    def seconds(self, size_bytes: float) -> float:
        """Cost of one message or sum of this size [s]."""
        return self.fixed_s + size_bytes * self.s_per_byte


@dataclass(frozen=True, slots=True)
class MessageCost:
    """Time that one message of a size adds to a computation divided between two processes.

    Attributes
    ----------
    send_s, receive_s
        Time for which sender and receiver are occupied: system calls, copies, conversion to a tensor.
    transit_s
        Further delay: propagation, and waking a sleeping receiver. Negative if the receiver begins before the
        sender's call has returned.
    slowed_s
        Slowdown of the receiver's next computation after sleeping. May be negative, because it is measured as
        a difference.
    awake_send_s, awake_receive_s
        The same of a message whose receiver is awake; receiving then includes the header, which for a
        sleeping receiver arrives within `transit_s`. None if not measured.
    """

    size_bytes: int
    send_s: float
    transit_s: float
    receive_s: float
    slowed_s: float
    awake_send_s: float | None = None
    awake_receive_s: float | None = None


@dataclass(frozen=True, slots=True)
class SumCost:
    """Time that one sum over a group adds to the computation, including the wait for the slowest member."""

    size_bytes: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Communication:
    """Measured costs of messages and sums between processes of one host, each pinned to a separate core.

    Attributes
    ----------
    messages, sums
        Measured costs, by size.
    n_members
        Number of members of the group that summed.
    context
        The model computed between messages and sums.
    step_before_s, step_s
        Overhead of the loop over passes: of the first token, before its pass and behind it until the token is
        chosen (in older files only before it); and of every further token.
    measured_at
        UTC, ISO 8601.

    Not modelled: networks other than the host's loopback, sums over more members than were measured.
    """

    messages: tuple[MessageCost, ...]
    sums: tuple[SumCost, ...]
    n_members: int
    context: str
    step_before_s: float
    step_s: float
    measured_at: str

    @property
    def endpoint(self) -> Cost:
        """Occupancy of one endpoint per message to a sleeping receiver: half of both ends' sum."""
        halves_s = [(each.send_s + each.receive_s) / 2.0 for each in self.messages]
        return Cost.through([each.size_bytes for each in self.messages], halves_s)

    def handled_s(self, size_bytes: float) -> float:
        """Occupancy of both ends together by a message to a sleeping receiver [s].

        Interpolated between the measured sizes: a buffer of some tens of kilobytes costs a step, which the
        line of `endpoint` misses by a tenth. Below them constant; above them it grows as that line does.
        """
        points = sorted((each.size_bytes, each.send_s + each.receive_s) for each in self.messages)
        sizes_bytes, both_s = zip(*points, strict=True)
        found_s = float(np.interp(size_bytes, sizes_bytes, both_s))
        if size_bytes > sizes_bytes[-1]:
            found_s += 2.0 * self.endpoint.s_per_byte * (size_bytes - sizes_bytes[-1])
        return found_s

    @property
    def sending(self) -> Cost:
        """Occupancy of the sender per message to a sleeping receiver."""
        return self._cost("send_s")

    @property
    def receiving(self) -> Cost:
        """Occupancy of a receiver that has slept, per message."""
        return self._cost("receive_s")

    @property
    def awake_sending(self) -> Cost:
        """Occupancy of the sender per message to a receiver that is awake; `sending` if not measured."""
        return self._cost("awake_send_s", "send_s")

    @property
    def awake_receiving(self) -> Cost:
        """Occupancy of a receiver that is awake, per message; `receiving` if not measured."""
        return self._cost("awake_receive_s", "receive_s")

    @property
    def transit(self) -> Cost:
        """Further delay of a message to a sleeping receiver, in addition to `endpoint`."""
        sizes = [each.size_bytes for each in self.messages]
        return Cost.through(sizes, [each.transit_s for each in self.messages])

    @property
    def slowed_s(self) -> float:
        """Median slowdown of the receiver's next pass after sleeping [s], at least 0."""
        return max(0.0, float(np.median([each.slowed_s for each in self.messages])))

    @property
    def summing(self) -> Cost:
        """Cost of one sum."""
        return Cost.through([each.size_bytes for each in self.sums], [each.seconds for each in self.sums])

    def facts(self) -> dict[str, Any]:
        """Return the measurements as plain values, without those that were not made."""
        facts = asdict(self)
        for message in facts["messages"]:
            for key in _AWAKE:
                if message[key] is None:  # profiles from before keep their digests
                    del message[key]
        return facts

    def _cost(self, *names: str) -> Cost:
        """Fit the first of these values that was measured for any size."""
        for name in names:
            found = {
                each.size_bytes: seconds
                for each in self.messages
                if (seconds := getattr(each, name)) is not None
            }
            if found:
                return Cost.through(list(found), list(found.values()))
        raise AssertionError(names)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Create from plain values, as read from a file.

        Raises
        ------
        ValueError
            Naming the invalid value.
        """
        if not isinstance(facts, Mapping):
            raise ValueError(f"its communication is {facts!r:.40}; expected an object")  # noqa: TRY004
        for key in ("messages", "sums"):
            if not isinstance(facts.get(key), list | tuple) or not 0 < len(facts[key]) <= _MOST_POINTS:
                raise ValueError(f"its communication's '{key}' is not a list of points")
        for key in ("context", "measured_at"):
            if not isinstance(facts.get(key), str):
                raise ValueError(f"its communication's '{key}' is {facts.get(key)!r:.40}; expected text")  # noqa: TRY004
        return cls(
            messages=tuple(
                MessageCost(
                    _size(each),
                    _seconds(each, "send_s"),
                    _seconds(each, "transit_s", least=-TIME.most),
                    _seconds(each, "receive_s"),
                    _seconds(each, "slowed_s", least=-TIME.most),
                    *(_seconds(each, key) if key in each else None for key in _AWAKE),
                )
                for each in facts["messages"]
            ),
            sums=tuple(SumCost(_size(each), _seconds(each, "seconds")) for each in facts["sums"]),
            n_members=_size(facts, "n_members"),
            context=facts["context"],
            step_before_s=_seconds(facts, "step_before_s"),
            step_s=_seconds(facts, "step_s"),
            measured_at=facts["measured_at"],
        )


def _size(of: Any, key: str = "size_bytes") -> int:
    value = of.get(key) if isinstance(of, Mapping) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST_BYTES:
        raise ValueError(f"its communication has {value!r:.40} as {key}; expected a whole number above 0")
    return value


def _seconds(of: Any, key: str, least: float = 0.0) -> float:
    value = of.get(key) if isinstance(of, Mapping) else None
    if not is_finite_number(value) or not least <= value <= TIME.most:
        raise ValueError(f"its communication has {value!r:.40} as {key}; expected a time")
    return float(value)

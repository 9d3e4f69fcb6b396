"""What a law is, and how it says that it is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesim.trace.laws.rows import BoolArray, FloatArray, IntArray, Rows
from edgesim.trace.schema import FIFO

__all__ = ["Law", "RowLaw", "There", "is_close", "rounding_s"]

# Instants are sums of a few thousand floating-point terms: a relative 1e-9 is far above their rounding
# and far below any time that a model, a link or a person could tell apart. Sums of millions of terms agree
# to it if they are summed pairwise, as numpy does.
RELATIVE = 1e-9
_EPSILON = float(np.finfo(np.float64).eps)


def rounding_s(n_lengths: npt.ArrayLike, duration_s: float) -> FloatArray:
    """How far a sum of so many lengths of time may be off, each the difference of two instants of the run.

    An instant is known to half an ulp of itself, and is itself a sum; four ulps for the two ends of a length.
    """
    return np.asarray(n_lengths, dtype=np.float64) * (4.0 * _EPSILON * duration_s)


@dataclass(frozen=True, slots=True)
class Law:
    """What is expected of a column.

    Attributes
    ----------
    column
        Table and column: ``spans.started_at_s``.
    says
        What is expected of its values.
    beside
        Other columns that the law is about, likewise.
    """

    column: str
    says: str
    beside: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it is about."""
        return (self.column, *self.beside)

    def broken(
        self, rows: Rows, is_broken: BoolArray, expected: npt.NDArray[Any] | None = None
    ) -> Iterator[str]:
        """Say which row breaks it first, and how many more do."""
        (places,) = np.nonzero(is_broken)
        if not len(places):
            return
        row, name = int(places[0]), self.column.partition(".")[2]
        instead = "" if expected is None else f" ({expected[row]})"
        more = f"; {len(places) - 1} more rows likewise" if len(places) > 1 else ""
        yield self.sentence(rows.whose(row), rows.value(name, row), f"{self.says}{instead}{more}")

    def sentence(self, where: str, found: object, expected: str) -> str:
        """The sentence of a law that is broken."""
        return f"{self.column}, {where}: found {found}, expected {expected}"


@dataclass(frozen=True, slots=True)
class RowLaw(Law):
    """A law of single rows.

    Attributes
    ----------
    breaks
        Which rows break it.
    """

    breaks: Callable[[Rows, There], BoolArray] = field(kw_only=True)

    def check(self, rows: Rows, there: There) -> Iterator[str]:
        """Say which row breaks it, if any does."""
        yield from self.broken(rows, self.breaks(rows, there))


class There:
    """What a row is held to: its run's requests and devices, and what run.json says.

    Attributes
    ----------
    duration_s
        Length of the run.
    ids
        Ids of its requests, in ascending order.
    of_device
        By a device's name, its row.
    links
        What run.json says of each link; empty if it says nothing.
    may_fail
        Devices that may be down at some time; None if run.json does not say.
    retries
        Whether requests whose work was lost are served again; taken for granted if run.json does not say.
    loses_nothing
        Whether run.json says that neither a device nor a link may ever be down.
    n_blocks
        Blocks of the model; None if run.json does not say.
    keeps_spans
        Whether spans of this run are there.
    """

    def __init__(self, requests: Rows, devices: Rows, run: Mapping[str, Any], *, has_spans: bool) -> None:
        self.requests, self.devices, self.run = requests, devices, run
        self.keeps_spans = has_spans or not requests.is_null("energy_j").all()
        self._order = np.argsort(requests.ints("request_id"), kind="stable")
        self.ids: IntArray = requests.ints("request_id")[self._order]
        places, names = devices.names("device")
        self.of_device = {names[place]: row for row, place in enumerate(places.tolist()) if place >= 0}
        self.duration_s = float(devices.floats("duration_s")[0]) if len(devices) else 0.0
        self.links: Mapping[str, Mapping[str, Any]] = run.get("links", {})
        self.may_fail: list[str] | None = run.get("may_fail")
        self.retries: bool = run.get("retries", True)
        self.loses_nothing = self.may_fail == [] and run.get("links_may_fail") == []
        self.n_blocks: int | None = (run.get("model") or {}).get("n_blocks")

    def way(self, via: str, sender: str) -> Mapping[str, Any]:
        """What run.json says of a link in the direction in which a device sends; empty if it says nothing."""
        facts = self.links.get(via, {})
        down: Mapping[str, Any] = facts.get("down") or {}
        return {**facts, **down} if down.get("sender") == sender else facts

    def request_of(self, spans: Rows) -> IntArray:
        """The row of each span's request; ABSENT of none, UNKNOWN of one that is not in the table."""
        found: IntArray | None = spans.kept("request")
        if found is None:
            ids = spans.ints("request_id")
            if not len(self.ids):
                return spans.keep("request", np.where(ids < 0, -1, -2))  # type: ignore[no-any-return]
            place = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
            found = np.where(self.ids[place] == ids, self._order[place], -2)
            found[spans.is_null("request_id")] = -1
            spans.keep("request", found)
        return found

    def of_request(self, spans: Rows, column: str) -> FloatArray:
        """A number of each span's request; not a number where it has none."""
        return np.append(self.requests.floats(column), [np.nan, np.nan])[self.request_of(spans)]

    def device_of(self, rows: Rows, column: str = "device") -> IntArray:
        """The row of each row's device."""
        found: IntArray | None = rows.kept(f"{column} there")
        return rows.keep(f"{column} there", rows.places(column, self.of_device)) if found is None else found

    def of_device_of(self, spans: Rows, column: str) -> FloatArray:
        """A number of each span's device; not a number where the device is not known."""
        return np.append(self.devices.floats(column), [np.nan, np.nan])[self.device_of(spans)]

    @property
    def is_fifo(self) -> BoolArray:
        """Of each device, whether it serves one pass at a time."""
        return self.devices.named("serving", FIFO)


def is_close(a: npt.ArrayLike, b: npt.ArrayLike, slack: npt.ArrayLike = 0.0) -> BoolArray:
    """Whether two sums of the same terms agree, up to a slack that their terms' own rounding leaves."""
    a, b = np.asarray(a), np.asarray(b)
    return np.asarray(np.isclose(a, b, rtol=RELATIVE, atol=RELATIVE) | (np.abs(a - b) <= slack))

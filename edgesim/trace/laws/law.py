"""Classes of laws, the context in which rows are checked, and tolerances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesim.trace.laws.rows import BoolArray, FloatArray, IntArray, Rows
from edgesim.trace.schema import FIFO

__all__ = ["Law", "RowLaw", "RunContext", "is_close", "rounding_s"]

# Instants are sums of a few thousand floating-point terms: a relative tolerance of 1e-9 is far above their
# rounding errors and far below any relevant time of a model, link or user. Sums of millions of terms agree
# within it if they are summed pairwise, as numpy does.
RELATIVE = 1e-9
_EPSILON = float(np.finfo(np.float64).eps)


def rounding_s(n_lengths: npt.ArrayLike, duration_s: float) -> FloatArray:
    """Return the tolerance of a sum of `n_lengths` durations, each a difference of two instants of the run.

    The rounding error of an instant is half an ulp, and the instant is itself a sum. Four ulps are allowed
    for the two ends of a duration.
    """
    return np.asarray(n_lengths, dtype=np.float64) * (4.0 * _EPSILON * duration_s)


@dataclass(frozen=True, slots=True)
class Law:
    """An invariant of a column.

    Attributes
    ----------
    column
        Table and column, such as ``spans.started_at_s``.
    says
        What is expected of the column's values, for messages.
    beside
        Other columns that the law involves, in the same form.
    """

    column: str
    says: str
    beside: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that the law involves."""
        return (self.column, *self.beside)

    def broken(
        self, rows: Rows, is_broken: BoolArray, expected: npt.NDArray[Any] | None = None
    ) -> Iterator[str]:
        """Yield one sentence on the first row that breaks the law, with the number of others; or nothing."""
        (places,) = np.nonzero(is_broken)
        if not len(places):
            return
        row, name = int(places[0]), self.column.partition(".")[2]
        instead = "" if expected is None else f" ({expected[row]})"
        more = f"; {len(places) - 1} more rows likewise" if len(places) > 1 else ""
        yield self.sentence(rows.whose(row), rows.value(name, row), f"{self.says}{instead}{more}")

    def sentence(self, where: str, found: object, expected: str) -> str:
        """Return the sentence that reports a violation of the law."""
        return f"{self.column}, {where}: found {found}, expected {expected}"


@dataclass(frozen=True, slots=True)
class RowLaw(Law):
    """A law that can be checked row by row.

    Attributes
    ----------
    breaks
        Function that returns which rows break the law.
    """

    breaks: Callable[[Rows, RunContext], BoolArray] = field(kw_only=True)

    def check(self, rows: Rows, there: RunContext) -> Iterator[str]:
        """Yield a sentence if any row breaks the law."""
        yield from self.broken(rows, self.breaks(rows, there))


class RunContext:
    """Context for checking the rows of a run: its requests, devices, and facts from run.json.

    Attributes
    ----------
    duration_s
        Length of the run.
    ids
        Ids of its requests, in ascending order.
    of_device
        Row in the devices table by device name.
    links
        Facts of each link in run.json; empty if it lists none.
    may_fail
        Devices that may be down at some time; None if run.json lacks this.
    retries
        Whether requests whose work was lost are served again; True if run.json lacks this.
    loses_nothing
        Whether, according to run.json, no device and no link may ever be down.
    n_blocks
        Number of blocks of the model; None if run.json lacks this.
    keeps_spans
        Whether the run was made to keep spans.
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
        """Return the facts in run.json of a link in the direction of a sender; empty if there are none."""
        facts = self.links.get(via, {})
        down: Mapping[str, Any] = facts.get("down") or {}
        return {**facts, **down} if down.get("sender") == sender else facts

    def request_of(self, spans: Rows) -> IntArray:
        """Return the row of each span's request; ABSENT without one, UNKNOWN if it is not in the table."""
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
        """Return a numeric column of each span's request; NaN if the span has no known request."""
        return np.append(self.requests.floats(column), [np.nan, np.nan])[self.request_of(spans)]

    def device_of(self, rows: Rows, column: str = "device") -> IntArray:
        """Return each row's device as a row of the devices table, or ABSENT or UNKNOWN."""
        found: IntArray | None = rows.kept(f"{column} there")
        return rows.keep(f"{column} there", rows.places(column, self.of_device)) if found is None else found

    def of_device_of(self, spans: Rows, column: str) -> FloatArray:
        """Return a numeric column of each span's device; NaN if the device is not known."""
        return np.append(self.devices.floats(column), [np.nan, np.nan])[self.device_of(spans)]

    @property
    def is_fifo(self) -> BoolArray:
        """Whether each device serves one pass at a time, in order of arrival."""
        return self.devices.named("serving", FIFO)


def is_close(a: npt.ArrayLike, b: npt.ArrayLike, slack: npt.ArrayLike = 0.0) -> BoolArray:
    """Whether two sums of the same terms agree within the relative tolerance, or within an absolute slack."""
    a, b = np.asarray(a), np.asarray(b)
    return np.asarray(np.isclose(a, b, rtol=RELATIVE, atol=RELATIVE) | (np.abs(a - b) <= slack))

"""The parts of a request's latency, and the mapping from spans to parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from edgesim.statistics import activities
from edgesim.statistics.activities import Activity
from edgesim.trace.schema import BATCHED, SpanKind

__all__ = ["PASS_PARTS", "WAITS", "Part", "Role", "roles_of"]


class Part(StrEnum):
    """Parts of a request's latency along the critical path to the delivery of its last token."""

    COMPUTING = Activity.COMPUTING.value
    QUEUEING_FOR_COMPUTE = Activity.QUEUEING_FOR_COMPUTE.value
    STAGING = "waiting for a batch"
    STRAGGLING = Activity.STRAGGLING.value
    AIR = Activity.AIR.value
    RETRANSMITTING = "repeating on the air"
    WIRE = Activity.WIRE.value
    RECORDED = Activity.RECORDED.value
    QUEUEING_FOR_NETWORK = Activity.QUEUEING_FOR_NETWORK.value
    HANDLING = Activity.HANDLING.value
    WAITING_FOR_MEMORY = Activity.WAITING_FOR_MEMORY.value
    CONTROL = "during control traffic"
    AFTER_LOSS = "waiting after a loss"
    BEFORE_WORK = "before its first work"
    UNEXPLAINED = "not explained"

    @property
    def rank(self) -> int:
        """Index of this part in the order of definition, from 0."""
        return list(Part).index(self)


WAITS = frozenset(
    {
        Part.QUEUEING_FOR_COMPUTE,
        Part.STAGING,
        Part.QUEUEING_FOR_NETWORK,
        Part.WAITING_FOR_MEMORY,
        Part.CONTROL,
        Part.AFTER_LOSS,
        Part.BEFORE_WORK,
        Part.UNEXPLAINED,
    }
)
"""Parts in which nothing is done for the request. The sum of the other parts is the minimum latency: that on
an idle network, where no pass shares its device and no message its band."""

PASS_PARTS: Mapping[str, Part] = MappingProxyType(
    {column: Part(activity.value) for column, activity in activities.PASS_PARTS.items()}
)
"""Part of each span column that records what a member of a group did in a pass besides computing."""


@dataclass(frozen=True, slots=True)
class Role:
    """The parts to which spans of one sort belong.

    Attributes
    ----------
    waits, works
        The part of the time before the span started, and of the time after.
    precedence
        Of several spans that end at one instant, the one with the highest precedence is the predecessor on
        the critical path: a delivery before a pass, a pass before all others.
    """

    waits: Part
    works: Part
    precedence: int = 0


_CARRIED = {kind: Part(activity.value) for kind, activity in activities.CARRIED.items()}


def _role(kind: str, link_kind: str | None, serving: str | None) -> Role:
    """Return the role of spans of a kind, given the kind of the link and the device's service discipline."""
    if kind == SpanKind.COMPUTE:
        waits = Part.STAGING if serving in BATCHED else Part.QUEUEING_FOR_COMPUTE
        return Role(waits, Part.COMPUTING, 1)
    if kind == SpanKind.EMIT:
        return Role(Part.UNEXPLAINED, Part.UNEXPLAINED, 2)
    if kind == SpanKind.WAIT:
        return Role(Part.WAITING_FOR_MEMORY, Part.WAITING_FOR_MEMORY)
    if kind == SpanKind.ENDPOINT:
        return Role(Part.QUEUEING_FOR_NETWORK, Part.HANDLING)
    if link_kind in _CARRIED:
        return Role(Part.QUEUEING_FOR_NETWORK, _CARRIED[link_kind])
    return Role(Part.QUEUEING_FOR_NETWORK, Part.WIRE)


def roles_of(spans: pd.DataFrame, serving: Mapping[str, str], known: dict[Role, int]) -> npt.NDArray[np.int8]:
    """Number the roles of spans, determined by their kinds, links and devices.

    Parameters
    ----------
    spans
        Table with the columns ``kind``, ``link_kind`` and ``device``.
    serving
        Service discipline of each device.
    known
        Roles numbered so far; new roles are added.

    Returns
    -------
    array
        Number of each span's role, [n_spans].
    """
    kinds, links, devices = (
        column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
        for column in (spans["kind"], spans["link_kind"], spans["device"])
    )
    served = [serving.get(str(name)) for name in devices.cat.categories]
    ways: list[str | None] = [*dict.fromkeys(served), None]
    way_of = np.array([*(ways.index(way) for way in served), len(ways) - 1], dtype=np.int64)
    n_links = len(links.cat.categories) + 1
    codes = kinds.cat.codes.to_numpy(np.int64) * n_links + links.cat.codes.to_numpy(np.int64) + 1
    codes = codes * len(ways) + way_of[devices.cat.codes.to_numpy(np.int64)]
    numbers = np.zeros(int(codes.max(initial=0)) + 1, dtype=np.int8)
    for code in np.flatnonzero(np.bincount(codes)).tolist():
        rest, way = divmod(code, len(ways))
        kind, link = divmod(rest, n_links)
        link_kind = None if link == 0 else str(links.cat.categories[link - 1])
        role = _role(str(kinds.cat.categories[kind]), link_kind, ways[way])
        numbers[code] = known.setdefault(role, len(known))
    found: npt.NDArray[np.int8] = numbers[codes]
    return found

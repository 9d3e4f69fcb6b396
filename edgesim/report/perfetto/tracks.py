"""The parts of a timeline: tracks, and the slices and counter values on them, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Part", "Slices", "Track", "Values"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Track:
    """A row of the timeline, or a group of rows.

    Attributes
    ----------
    id
        Number from 1; that of a parent is lower than those of its children.
    parent
        Id of the group that contains the track; 0: the track is a group.
    rank
        Position within the group, or among the groups.
    unit
        Unit of a counter: ``bytes``, ``count``, or the symbol of another unit; None for a track of slices.
    """

    id: int
    name: str
    parent: int = 0
    rank: int = 0
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Slices:
    """Slices of time on tracks yielded before, in order of time on each track.

    Attributes
    ----------
    track, name
        Id of the track, and index of the slice's name among the names of the timeline, ``[n]``.
    start_ns, end_ns
        Start and end, ``[n]``.
    details
        Integers attached to the slices, ``[n]`` each; negative: none.
    flow
        Number of the transfer that starts or ends at the slice, ``[n]`` (0: none); None: no transfers.
    leaves
        Whether transfers start at these slices; otherwise they end there.
    opens, closes
        Whether a row opens a slice, and whether it closes one, ``[n]``; None: each row does both. A slice
        that encloses others has two rows, one before them and one after.
    """

    track: IntArray
    name: IntArray
    start_ns: IntArray
    end_ns: IntArray
    details: Mapping[str, IntArray] = field(default_factory=dict)
    flow: IntArray | None = None
    leaves: bool = True
    opens: BoolArray | None = None
    closes: BoolArray | None = None


@dataclass(frozen=True, slots=True)
class Values:
    """Values of a counter in order of time; each is valid until the next.

    Attributes
    ----------
    at_ns, value
        Instants and values, ``[n]``.
    """

    track: Track
    at_ns: IntArray
    value: npt.NDArray[np.float64]


Part = Track | Slices | Values
"""A part of a timeline. A track is yielded before its slices or values."""

"""What a timeline consists of: tracks, and slices and values on them, in columns."""

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
    """A row of the picture, or a group of rows.

    Attributes
    ----------
    id
        From 1; of a parent lower than of its children.
    parent
        Id of the group that it is in; 0: it is one.
    rank
        Its place in the group, or among groups.
    unit
        Of a counter: ``bytes``, ``count``, or another unit's symbol; None of slices.
    """

    id: int
    name: str
    parent: int = 0
    rank: int = 0
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Slices:
    """Stretches of time on tracks that are there by then, each track's in order of time.

    Attributes
    ----------
    track, name
        The track, and the place of the slice's name among the timeline's, ``[n]``.
    start_ns, end_ns
        ``[n]``.
    details
        Whole numbers beside it, ``[n]`` each; where one is negative there is none.
    flow
        Number of the transfer whose end it is, ``[n]``; None: of none.
    leaves
        Whether it is the end at which these transfers begin.
    opens, closes
        Whether a row opens a slice, and closes it, ``[n]``; None: each does both. One that encloses others
        has two rows, before them and after.
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
    """A counter's values, in order of time: each holds until the next.

    Attributes
    ----------
    at_ns, value
        ``[n]``.
    """

    track: Track
    at_ns: IntArray
    value: npt.NDArray[np.float64]


Part = Track | Slices | Values
"""What a timeline hands on, one after the other; a track before what is on it."""

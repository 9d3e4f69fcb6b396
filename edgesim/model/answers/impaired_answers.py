"""Answer quality under impairments: measured points, and interpolation between them.

Answers are measured at a few levels of each kind of impairment (:mod:`edgesim.model.answers.impairment`).
Between levels the rise of the negative log likelihood and the fall of accuracy are interpolated by a monotone
cubic (PCHIP, Fritsch and Carlson 1980), over the logarithm of a noise's normalised error, over an erasure's
probability, and over a quantiser's bits. Below the lowest measured level the effect goes to zero in
proportion to the error; above the highest it stays constant, and the result is flagged (``is_beyond``).

Not modelled: effects on single tokens; a table contains means over a text.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edgesim.errors import InputError
from edgesim.model.answers.parquet_record import damage_reported, read_record, write_record, wrote_record
from edgesim.model.answers.quality_curves import Curve, axis_of, neighbours
from edgesim.nearest import suggest

__all__ = ["CLEAN", "ImpairedAnswers", "Impairing", "QualityRow", "QualityTable"]

CLEAN = "clean"
"""Name of the row without impairment."""

_AT_SUMS = ("noise", "device-noise", "faded-noise", "quantised")
"""Kinds that act at every all-reduce unless measured after blocks; for other kinds, no block means any."""

_MOST_NLL = 700  # nats per token; the perplexity of a larger value overflows
_VERSION = 1
_KEY = b"edgesim_quality"


class Impairing(Protocol):
    """Properties of an impairment used for table lookup; see :mod:`edgesim.model.answers.impairment`."""

    @property
    def name(self) -> str: ...
    @property
    def level(self) -> float: ...
    @property
    def block(self) -> int | None: ...
    @property
    def n_devices(self) -> int | None: ...


class ImpairedAnswers(NamedTuple):
    """Mean answer quality under an impairment."""

    nll: float
    """Mean negative log likelihood of the right token [nats/token]."""
    nll_se: float
    """Standard error of `nll`, as a mean over the text."""
    accuracy: float
    """Share of tokens for which the right one was the most probable; nan if the table does not state it."""
    accuracy_se: float
    is_beyond: bool = False
    """Whether level or number of devices exceed the measured range, at whose end these answers are taken."""

    @property
    def perplexity(self) -> float:
        """Exp of the mean negative log likelihood."""
        return math.exp(self.nll)

    @property
    def perplexity_se(self) -> float:
        """Standard error of the perplexity, to first order."""
        return self.perplexity * self.nll_se


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRow:
    """One measured point.

    Attributes
    ----------
    name, level, block, n_devices
        Those of the impairment (:mod:`edgesim.model.answers.impairment`); :data:`CLEAN`, 0 and None without
        an impairment.
    nll, nll_se
        Mean negative log likelihood of the right token and its standard error [nats/token].
    nll_rise, nll_rise_se
        Increase of `nll` over that without impairment on the same text, and its standard error [nats/token].
    accuracy, accuracy_se
        Share of tokens for which the right one was the most probable, and its standard error; nan if unknown.
    n_tokens, repeats
        Number of predicted tokens, and of repetitions with new random draws.
    """

    name: str
    level: float
    block: int | None = None
    n_devices: int | None = None
    nll: float
    nll_se: float
    nll_rise: float
    nll_rise_se: float
    accuracy: float
    accuracy_se: float
    n_tokens: int = 0
    repeats: int = 1


Kind = tuple[str, "int | None", "int | None"]
Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class QualityTable:
    """Measured answers of one model on one text.

    Attributes
    ----------
    rows
        Measured points, one of them clean.
    provenance
        Origin of the measurement: model, its digest, text, its digest, versions, date.

    Raises
    ------
    InputError
        If there is not exactly one clean row, or two rows are for the same impairment.
    """

    rows: tuple[QualityRow, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if sum(row.name == CLEAN for row in self.rows) != 1:
            raise InputError("quality table: expected exactly one row called 'clean', of no impairment")
        seen = set()
        for row in self.rows:
            point = (row.name, row.level, row.block, row.n_devices)
            if point in seen:
                raise InputError(f"quality table: {row.name} at level {row.level:g} occurs twice")
            seen.add(point)
            if row.name != CLEAN:
                axis_of(row.name).check(row.level, f"quality table: '{row.name}'")
            if any(each is not None and each < 1 for each in (row.block, row.n_devices)):
                raise InputError(
                    f"quality table: '{row.name}' after block {row.block} with {row.n_devices} devices; "
                    "expected 1 or more of either"
                )
            has_accuracy = 0 <= row.accuracy <= 1 or math.isnan(row.accuracy)
            if not (0 <= row.nll <= _MOST_NLL and has_accuracy):
                raise InputError(
                    f"quality table: {row.name} at level {row.level:g} has nll {row.nll} and accuracy "
                    f"{row.accuracy}; expected an nll from 0 to {_MOST_NLL} and an accuracy from 0 to 1"
                )

    @cached_property
    def clean(self) -> ImpairedAnswers:
        """Answers without impairment."""
        row = next(row for row in self.rows if row.name == CLEAN)
        return ImpairedAnswers(row.nll, row.nll_se, row.accuracy, row.accuracy_se)

    @property
    def n_blocks(self) -> int | None:
        """Number of blocks of the measured model, in which splits are counted; None if not stated."""
        stated = self.provenance.get("n_blocks")
        return None if stated is None else int(stated)

    @property
    def names(self) -> tuple[str, ...]:
        """Kinds of impairment that were measured, in the table's order."""
        return tuple(dict.fromkeys(row.name for row in self.rows if row.name != CLEAN))

    def answers(self, impairment: Impairing) -> ImpairedAnswers:
        """Answers under an impairment, interpolated between measured levels.

        Numbers of devices and splits that were not measured are interpolated between their neighbours, in the
        logarithm of the number of devices and linearly over the blocks; outside the measured range the
        nearest measured point is used.

        Raises
        ------
        InputError
            If the kind was not measured.
        """
        return self.at(
            impairment.name, impairment.level, block=impairment.block, n_devices=impairment.n_devices
        )

    def at(
        self, name: str, level: float, *, block: float | None = None, n_devices: int | None = None
    ) -> ImpairedAnswers:
        """Answers under the impairment called `name` at a level; see :meth:`answers`."""
        axis = axis_of(name)
        axis.check(level, f"quality table: '{name}'")
        clean = self.clean
        if level == axis.clean and "+" not in name:
            return clean
        effect, is_beyond = self._effect(name, np.array([axis.error(level)]), block, n_devices)
        rise, nll_se, fall, accuracy_se = effect[0].tolist()
        return ImpairedAnswers(
            nll=clean.nll + rise,
            nll_se=nll_se,
            accuracy=float(np.clip(clean.accuracy - fall, 0.0, 1.0)),
            accuracy_se=accuracy_se,
            is_beyond=bool(is_beyond[0]),
        )

    def impairment(
        self, name: str, errors: Values, *, block: float | None = None, n_devices: int | None = None
    ) -> tuple[Values, Values, Flags]:
        """Loss of answer quality under one kind of impairment, at many errors at once; see :meth:`at`.

        Parameters
        ----------
        errors : [n]
            Noise power, probability, or a quantiser's error (:meth:`LevelAxis.error`).

        Returns
        -------
        Rises of the negative log likelihood [nats/token], falls of accuracy, and whether the error is beyond
        the measured range, [n] each.
        """
        effect, is_beyond = self._effect(name, errors, block, n_devices)
        return effect[:, 0], np.clip(effect[:, 2], self.clean.accuracy - 1.0, self.clean.accuracy), is_beyond

    def _effect(
        self, name: str, errors: Values, block: float | None, n_devices: int | None
    ) -> tuple[Values, Flags]:
        if name == "device-noise" and n_devices == 1 and "noise" in self.names:
            name, n_devices = "noise", None  # with a single device, its noise is the noise on the sum
        curves = self._curves_of(name, block, n_devices)
        counts = [kind[2] for kind in self._curves if kind[0] == name and kind[2] is not None]
        blocks = [kind[1] for kind in self._curves if kind[0] == name and kind[1] is not None]
        is_outside = bool(counts) and not min(counts) <= (n_devices or 1) <= max(counts)
        is_outside |= block is not None and bool(blocks) and not min(blocks) <= block <= max(blocks)
        effect = np.sum([weight * curve(errors) for weight, curve in curves], axis=0)
        return effect, np.any([curve.beyond(errors) for _, curve in curves], axis=0) | is_outside

    def _curves_of(self, name: str, block: float | None, n_devices: int | None) -> list[tuple[float, Curve]]:
        kinds = [kind for kind in self._curves if kind[0] == name]
        if not kinds:
            known = [each for each in self.names if each]
            raise InputError(
                f"quality table: answers under '{name}' were not measured; {suggest(name, known)}"
                if known
                else f"quality table: answers under '{name}' were not measured, nor under anything else"
            )
        blocks = sorted({kind[1] for kind in kinds if kind[1] is not None})
        counts = sorted({kind[2] for kind in kinds if kind[2] is not None})
        splits: list[tuple[float, int | None]] = [(1.0, None)]
        groups: list[tuple[float, int | None]] = [(1.0, None)]
        if block is not None and blocks:
            splits = [*neighbours(block, blocks, log=False)]
        elif block is not None and name.startswith(_AT_SUMS):
            raise InputError(
                f"quality table: '{name}' was measured at every all-reduce, and not after a block"
            )
        elif block is None and all(kind[1] is not None for kind in kinds):
            raise InputError(f"quality table: '{name}' acts after a block; state which block")
        if counts:
            if n_devices is None:
                raise InputError(f"quality table: '{name}' depends on the number of devices; state it")
            groups = [*neighbours(float(n_devices), counts, log=True)]
        curves = []
        for of_split, split in splits:
            for of_group, group in groups:
                curve = self._curves.get((name, split, group))
                if curve is None:
                    raise InputError(
                        f"quality table: '{name}' was not measured after block {split} with {group} devices, "
                        "only with others; measure the whole grid"
                    )
                curves.append((of_split * of_group, curve))
        return curves

    @cached_property
    def _curves(self) -> Mapping[Kind, Curve]:
        points: dict[Kind, list[QualityRow]] = defaultdict(list)
        for row in self.rows:
            if row.name != CLEAN:
                points[row.name, row.block, row.n_devices].append(row)
        return {kind: curve for kind, own in points.items() if (curve := self._curve(kind[0], own))}

    def _curve(self, name: str, rows: list[QualityRow]) -> Curve | None:
        """Effect on answers over the levels of one kind; None if no level is an impairment."""
        axis, clean = axis_of(name), self.clean
        effects = {
            row.level: np.array((row.nll_rise, row.nll_se, clean.accuracy - row.accuracy, row.accuracy_se))
            for row in rows
        }
        floor = effects.pop(axis.clean, None)
        if "+" not in name:  # combined impairments have an effect at level 0, too
            floor = np.array([0.0, clean.nll_se, 0.0, clean.accuracy_se])
        return Curve(axis, list(effects), np.array(list(effects.values())), floor) if effects else None

    # --- files --------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the table as one Parquet file."""
        table = pa.Table.from_pylist([asdict(row) for row in self.rows], schema=_SCHEMA)
        write_record(table, path, _KEY, {"version": _VERSION, "provenance": dict(self.provenance)})

    @staticmethod
    def wrote(path: Path) -> bool:
        """Whether this file was written by :meth:`save`."""
        return wrote_record(path, _KEY)

    @classmethod
    def load(cls, path: Path) -> QualityTable:
        """Read a file written by :meth:`save`.

        Raises
        ------
        InputError
            If there is no such file, or it is not a quality table.
        """
        remedy = "give a file written by `edgesim quality MODEL -o FOLDER`"
        table, stated = read_record(path, _KEY, _VERSION, what="a quality table", remedy=remedy)
        with damage_reported(path, remedy):
            names = [each.name for each in fields(QualityRow)]
            rows = [QualityRow(**row) for row in table.select(names).to_pylist()]
            n_blocks = stated["provenance"].get("n_blocks")
            if n_blocks is not None and not int(n_blocks) >= 1:
                raise ValueError(f"a model of {n_blocks} blocks")
            return cls(tuple(rows), stated["provenance"])


_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("level", pa.float64()),
        ("block", pa.int32()),
        ("n_devices", pa.int32()),
        ("nll", pa.float64()),
        ("nll_se", pa.float64()),
        ("nll_rise", pa.float64()),
        ("nll_rise_se", pa.float64()),
        ("accuracy", pa.float64()),
        ("accuracy_se", pa.float64()),
        ("n_tokens", pa.int64()),
        ("repeats", pa.int32()),
    ]
)

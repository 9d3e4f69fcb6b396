"""Exit records: measured outputs of a real model's exits for every token of real text, for replay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from edgesim.errors import InputError
from edgesim.model.answers.impaired_answers import ImpairedAnswers
from edgesim.model.answers.parquet_record import damage_reported, read_record, write_record

__all__ = ["Exit", "ExitRecords", "expected_calibration_error", "half_of_text", "standard_error"]

Floats = npt.NDArray[np.float64]

_VERSION = 1
_KEY = b"edgesim_exits"
_REMEDY = "give a file written by `edgesim quality MODEL`"
_BINS = 15
_STRETCH = 256  # consecutive tokens per batch mean, because neighbouring tokens are correlated
_COLUMNS = ("confidence", "entropy", "nll", "is_correct")


@dataclass(frozen=True, slots=True)
class Exit:
    """Output of one exit for one token: confidence and correctness; entropy and loss [nats] if recorded."""

    confidence: float
    is_correct: bool
    entropy: float | None = None
    nll: float | None = None


@dataclass(frozen=True, eq=False)
class ExitRecords:
    """Measured confidence and correctness of every exit on every evaluation token.

    A request replays a stretch of the evaluation text. Its sample number, modulo the number of tokens, is
    the row at which the stretch begins, and its tokens are the consecutive rows from there, so that the
    correlation between neighbouring tokens is that of the text.

    Attributes
    ----------
    blocks
        Number of blocks before each exit, increasing; the last exit is the model's own head.
    confidence : [n_tokens, n_exits]
        Largest token probability at each exit, after temperature scaling.
    is_correct : [n_tokens, n_exits]
        Whether that token was the right one.
    entropy : [n_tokens, n_exits]
        Entropy of each exit's distribution [nats]; None where it was not recorded.
    nll : [n_tokens, n_exits]
        Negative log likelihood of the right token at each exit [nats]; None where it was not recorded.
    provenance
        Origin of the measurement: model, its digest, text, its digest, versions, date.
    """

    blocks: tuple[int, ...]
    confidence: Floats
    is_correct: npt.NDArray[np.bool_]
    entropy: Floats | None = None
    nll: Floats | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = np.shape(self.confidence)
        if shape != np.shape(self.is_correct) or shape[1:] != (len(self.blocks),) or 0 in shape:
            raise InputError(
                f"exit records: confidences of shape {shape} and correctness of shape "
                f"{np.shape(self.is_correct)} do not fit {len(self.blocks)} exits; give one column for each"
            )
        if list(self.blocks) != sorted(set(self.blocks)) or self.blocks[0] < 1:
            raise InputError(
                f"exit records: exits after blocks {self.blocks}; expected increasing numbers from 1"
            )
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise InputError("exit records: a confidence is not a probability; expected 0 to 1")
        for name in ("entropy", "nll"):
            values = getattr(self, name)
            if values is not None and (np.shape(values) != shape or not (values >= 0).all()):
                raise InputError(
                    f"exit records: {name} of shape {np.shape(values)} for confidences of shape {shape}; "
                    "expected one for each, none below 0"
                )

    @property
    def n_tokens(self) -> int:
        """Number of recorded tokens."""
        return len(self.confidence)

    def at(self, sample: int, token: int, block: int) -> Exit:
        """Return the output of the exit after `block` blocks for a request's token.

        Raises
        ------
        KeyError
            If there is no exit after that block.
        """
        try:
            return self._exits[block][(sample + token) % len(self.confidence)]
        except KeyError:
            raise KeyError(block) from None

    def stretched(self, n_blocks: int) -> ExitRecords:
        """Return the records with exits moved to the same relative depths of a model of `n_blocks` blocks.

        Records of a small model are then used for the exits of a large one. That is an assumption; reports
        state the model on which answers were measured.

        Raises
        ------
        InputError
            If the model has too few blocks for this number of exits.
        """
        own = self.blocks[-1]
        blocks = tuple(round(block * n_blocks / own) for block in self.blocks)
        if blocks[0] < 1 or len(set(blocks)) < len(blocks):
            raise InputError(
                f"exit records: {len(blocks)} exits after {', '.join(map(str, self.blocks))} of {own} blocks "
                f"do not fit a model of {n_blocks} blocks; use a deeper model"
            )
        return replace(self, blocks=blocks)

    # --- parts ------------------------------------------------------------------------------------

    def calibration(self) -> ExitRecords:
        """Return the records of the text's first half, for tuning thresholds.

        It shares no token with :meth:`judged`. The cut lies between two windows of 256 tokens, if there are
        two: no token is context in one part and predicted in the other, but the document at the cut lies in
        both.
        """
        return self.part(0, self._cut)

    def judged(self) -> ExitRecords:
        """Return the records of the text's second half, for evaluating thresholds tuned on the first.

        A request's sample number is valid for either part: it is taken modulo the number of tokens.
        """
        return self.part(self._cut, self.n_tokens)

    def part(self, start: int, stop: int) -> ExitRecords:
        """Return the records of tokens `start` up to, but excluding, `stop`.

        Raises
        ------
        InputError
            If the range is empty or reaches outside the records.
        """
        if not 0 <= start < stop <= self.n_tokens:
            raise InputError(
                f"exit records: tokens {start} to {stop} of {self.n_tokens}; expected at least one, within"
            )
        first, _ = self.provenance.get("rows", (0, self.n_tokens))
        return replace(
            self,
            confidence=self.confidence[start:stop],
            is_correct=self.is_correct[start:stop],
            entropy=None if self.entropy is None else self.entropy[start:stop],
            nll=None if self.nll is None else self.nll[start:stop],
            provenance={**self.provenance, "rows": [first + start, first + stop]},
        )

    @property
    def _cut(self) -> int:
        """Index of the first token of the second half."""
        return half_of_text(self.n_tokens)

    # --- leaving at thresholds --------------------------------------------------------------------

    def leave(
        self, confidence: Sequence[float] | None = None, *, entropy: Sequence[float] | None = None
    ) -> npt.NDArray[np.int64]:
        """Index of the exit at which each token leaves: the first whose threshold it meets, else the last.

        Parameters
        ----------
        confidence : [n_exits - 1]
            Minimum confidence at each inner exit.
        entropy : [n_exits - 1]
            Alternatively, maximum entropy [nats], as in DeeBERT (Xin et al. 2020, arXiv 2004.12993).
        """
        thresholds = np.asarray(entropy if confidence is None else confidence, dtype=np.float64)
        if (confidence is None) == (entropy is None) or thresholds.shape != (len(self.blocks) - 1,):
            raise InputError(
                f"exit records: expected {len(self.blocks) - 1} thresholds, one for each inner exit, either "
                "of confidence or of entropy"
            )
        if confidence is not None:
            meets = self.confidence[:, :-1] >= thresholds
        else:
            meets = self._recorded("entropy")[:, :-1] <= thresholds
        always = np.ones((len(meets), 1), dtype=np.bool_)
        left: npt.NDArray[np.int64] = np.argmax(np.hstack([meets, always]), axis=1)
        return left

    def shares(self, confidence: Sequence[float] | None = None, **how: Any) -> Floats:
        """Share of tokens that leave at each exit, for thresholds as in :meth:`leave`."""
        left = np.bincount(self.leave(confidence, **how), minlength=len(self.blocks))
        return left / self.n_tokens

    def accuracy(self, confidence: Sequence[float] | None = None, **how: Any) -> float:
        """Share of tokens that are predicted correctly at their exits."""
        return float(self._where_left(self.is_correct, confidence, how).mean())

    def mean_nll(self, confidence: Sequence[float] | None = None, **how: Any) -> float:
        """Mean negative log likelihood at the exits taken [nats/token]."""
        return float(self._where_left(self._recorded("nll"), confidence, how).mean())

    def answers(self, confidence: Sequence[float] | None = None, **how: Any) -> ImpairedAnswers:
        """Mean loss and accuracy at the exits taken, with standard errors over stretches of 256 tokens.

        With fewer than two whole stretches, standard errors are nan.
        """
        nll = self._where_left(self._recorded("nll"), confidence, how)
        right = self._where_left(self.is_correct, confidence, how).astype(np.float64)
        return ImpairedAnswers(
            float(nll.mean()), standard_error(nll), float(right.mean()), standard_error(right)
        )

    def at_exit(self, block: int) -> ImpairedAnswers:
        """Mean loss and accuracy if every token leaves at the exit after this block."""
        number = self.blocks.index(block)
        return self.answers([0.0 if inner == number else 2.0 for inner in range(len(self.blocks) - 1)])

    def calibration_error(self, block: int) -> float:
        """Expected calibration error of the exit after this block, over 15 bins."""
        number = self.blocks.index(block)
        return expected_calibration_error(self.confidence[:, number], self.is_correct[:, number])

    def mean_block(self, confidence: Sequence[float] | None = None, **how: Any) -> float:
        """Mean number of blocks that a token passes."""
        return float(np.asarray(self.blocks)[self.leave(confidence, **how)].mean())

    def _where_left(
        self, values: npt.NDArray[Any], confidence: Sequence[float] | None, how: Mapping[str, Any]
    ) -> npt.NDArray[Any]:
        left = self.leave(confidence, **how)
        chosen: npt.NDArray[Any] = np.take_along_axis(values, left[:, None], axis=1)[:, 0]
        return chosen

    def _recorded(self, name: str) -> Floats:
        values: Floats | None = getattr(self, name)
        if values is None:
            raise InputError(f"exit records: {name} was not recorded; measure them again")
        return values

    @cached_property
    def _exits(self) -> Mapping[int, list[Exit]]:
        """Outputs for each token, by the exit's block, as Python numbers for fast lookup."""
        found = {}
        for column, block in enumerate(self.blocks):
            nothing = [None] * self.n_tokens
            entropy = nothing if self.entropy is None else self.entropy[:, column].tolist()
            nll = nothing if self.nll is None else self.nll[:, column].tolist()
            values = (self.confidence[:, column].tolist(), self.is_correct[:, column].tolist(), entropy, nll)
            found[block] = [Exit(*each) for each in zip(*values, strict=True)]
        return found

    # --- files --------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write one Parquet file: a column for each quantity and exit, in single precision."""
        columns: dict[str, pa.Array] = {}
        for name in _COLUMNS:
            values = getattr(self, name)
            if values is not None:
                kind = pa.bool_() if name == "is_correct" else pa.float32()
                for column, block in enumerate(self.blocks):
                    columns[f"{name}_{block}"] = pa.array(values[:, column], kind)
        stated = {"version": _VERSION, "blocks": list(self.blocks), "provenance": dict(self.provenance)}
        write_record(pa.table(columns), path, _KEY, stated, compression="zstd")

    @classmethod
    def load(cls, path: Path) -> ExitRecords:
        """Read a file written by :meth:`save`.

        Raises
        ------
        InputError
            If there is no such file, or it does not contain exit records.
        """
        table, stated = read_record(path, _KEY, _VERSION, what="a file of exit records", remedy=_REMEDY)
        with damage_reported(path, _REMEDY):
            return cls._of(path, table, stated)

    @classmethod
    def _of(cls, path: Path, table: pa.Table, stated: Mapping[str, Any]) -> ExitRecords:
        blocks = tuple(int(block) for block in stated["blocks"])

        def values(name: str, kind: type) -> npt.NDArray[Any] | None:
            if f"{name}_{blocks[0]}" not in table.column_names:
                return None
            columns = [table[f"{name}_{block}"].to_numpy() for block in blocks]
            return np.stack(columns, axis=1).astype(kind)

        confidence, is_correct = values("confidence", np.float64), values("is_correct", np.bool_)
        if confidence is None or is_correct is None:
            raise InputError(f"{path}: exit records without confidence or correctness; {_REMEDY}")
        # Rounding to single precision may leave a probability slightly above 1.
        return cls(
            blocks,
            np.minimum(confidence, 1.0),
            is_correct,
            values("entropy", np.float64),
            values("nll", np.float64),
            stated["provenance"],
        )


def half_of_text(n_tokens: int) -> int:
    """Number of tokens in the first half of a text: whole windows of 256, if there are two."""
    if n_tokens < 2:
        raise InputError(f"a text of {n_tokens} tokens; expected at least two, to calibrate and to evaluate")
    half = n_tokens // 2
    return half // _STRETCH * _STRETCH or half


def expected_calibration_error(
    confidence: Floats, is_correct: npt.NDArray[np.bool_], *, bins: int = _BINS
) -> float:
    """Mean gap between confidence and accuracy over bins of equal width, weighted by the share of each bin.

    Guo et al. 2017, arXiv 1706.04599, equation 5.
    """
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=confidence - is_correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def standard_error(values: Floats) -> float:
    """Standard error of the mean, by batch means over stretches of 256 tokens; nan below two stretches."""
    n = len(values) // _STRETCH
    if n < 2:
        return math.nan
    means = values[: n * _STRETCH].reshape(n, _STRETCH).mean(axis=1)
    return float(means.std(ddof=1) / math.sqrt(n))

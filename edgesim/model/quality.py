"""Measured answers, replayed: what a real model's early exits said of real text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError

__all__ = ["Exit", "ExitRecords"]


@dataclass(frozen=True, slots=True)
class Exit:
    """What one exit said of one token: its confidence, and whether it was right."""

    confidence: float
    is_correct: bool


@dataclass(frozen=True, eq=False)
class ExitRecords:
    """Confidence and correctness of every exit on every evaluation token, as a model really gave them.

    A request stands for a stretch of the evaluation text: its sample number, modulo the number of
    tokens, is where the stretch begins, and its tokens follow one another from there, so that the
    correlation between neighbouring tokens is the text's own.

    Attributes
    ----------
    blocks
        After how many blocks each exit stands, increasing; the last is the model's own head.
    confidence : [n_tokens, n_exits]
        The largest probability that each exit gave to any token.
    is_correct : [n_tokens, n_exits]
        Whether that token was the right one.
    """

    blocks: tuple[int, ...]
    confidence: npt.NDArray[np.float64]
    is_correct: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        shape = np.shape(self.confidence)
        if shape != np.shape(self.is_correct) or shape[1:] != (len(self.blocks),) or 0 in shape:
            raise InputError(
                f"exit records: confidences of shape {shape} and correctness of shape "
                f"{np.shape(self.is_correct)} do not fit {len(self.blocks)} exits; give one column for each"
            )
        if list(self.blocks) != sorted(set(self.blocks)):
            raise InputError(f"exit records: exits after blocks {self.blocks}; put them in increasing order")
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise InputError("exit records: a confidence is no probability; expected 0 to 1")

    def at(self, sample: int, token: int, block: int) -> Exit:
        """What the exit after `block` blocks said of a request's token.

        Raises
        ------
        KeyError
            If no exit stands there.
        """
        if block not in self.blocks:
            raise KeyError(block)
        row, column = (sample + token) % len(self.confidence), self.blocks.index(block)
        return Exit(float(self.confidence[row, column]), bool(self.is_correct[row, column]))

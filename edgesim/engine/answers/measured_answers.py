"""Quality of a request's answer: measured answers replayed, with the effect of channel impairments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgesim.engine.answer_quality import Worth
from edgesim.engine.answers.impairments import ALL, Errors, Impairment
from edgesim.errors import InputError
from edgesim.model.answers.exit_paths import ExitPath
from edgesim.model.answers.exit_records import ExitRecords
from edgesim.model.answers.impaired_answers import QualityTable

__all__ = ["Answering"]

_Floats: TypeAlias = "npt.NDArray[np.float64]"
_Values: TypeAlias = "npt.NDArray[np.float64] | npt.NDArray[np.bool_]"


def _errors(of: Mapping[int, tuple[float, int]], n_tokens: int) -> tuple[_Floats, _Floats]:
    """Return the mean errors of a kind over delivered tokens, and the number of tokens for each."""
    total, n = of.get(ALL, (0.0, 0))
    found = [(total + t, n + k) for token, (t, k) in of.items() if 0 <= token < n_tokens]
    errors = [t / k for t, k in found] + ([total / n] if n else [])
    counts = [1.0] * len(found) + ([float(n_tokens - len(found))] if n else [])
    return np.array(errors), np.array(counts)


class Answering:
    """Evaluate requests from measurements: token by token if exits were recorded, else by the mean.

    A request's tokens are those of its section of the evaluation text (see
    :class:`edgesim.model.answers.exit_records.ExitRecords`), the same under every strategy, so that
    strategies are compared on the same text. Each token counts as answered by its exit, the last one if it
    took none. The effect of impairments is taken from the table, token by token: at the mean error of a
    token's tensors, and none without errors, as for a token that exited before a split.

    Not modelled: impairments that change confidences; several kinds at once whose joint effect is more (or
    less) than the sum; the effect of an impaired token on later ones, beyond that in the table (in whose
    measurement all tokens were impaired alike); errors that vary within a pass, of which the mean counts.
    """

    def __init__(self, n_blocks: int, records: ExitRecords | None, table: QualityTable | None) -> None:
        self._records, self._table, self._n_blocks = records, table, n_blocks
        self._known: set[Impairment] = set()
        self._nll: Mapping[int, _Values] = {}
        self._is_correct: Mapping[int, _Values] = {}
        if records is not None:
            by_column = list(enumerate(records.blocks))
            self._is_correct = {block: records.is_correct[:, column] for column, block in by_column}
            if records.nll is not None:
                self._nll = {block: records.nll[:, column] for column, block in by_column}

    def knows(self, name: str) -> bool:
        """Whether answers under a kind of impairment were measured, after any block."""
        return self._table is not None and name in self._table.names

    def check(self, kind: Impairment) -> None:
        """Raise InputError if answers are measured, but not under this kind of impairment."""
        if kind in self._known or (self._table is None and self._records is None):
            return
        name, block, n_devices = kind
        if self._table is None:
            raise InputError(
                f"quality: this strategy causes '{name}', and only exits were given; add a 'model' or a "
                "'table', or remove 'quality'"
            )
        try:
            self._table.impairment(name, np.zeros(1), block=self._depth(block), n_devices=n_devices)
        except InputError as error:
            raise InputError(
                f"quality: this strategy causes '{name}', and the table has no answers for that ({error}); "
                "measure it (edgesim quality MODEL), or remove 'quality'"
            ) from error
        self._known.add(kind)

    def of(
        self,
        sample: int,
        n_tokens: int,
        exits: Mapping[int, tuple[int, bool]],
        met: Errors,
        path: ExitPath | None = None,
    ) -> Worth:
        """Compute the quality of an answer.

        Parameters
        ----------
        sample
            The request's sample.
        n_tokens
            Number of delivered tokens.
        exits
            By token, the block after which it exited, and whether its answer was right.
        met
            Impairments of its tensors.
        path
            Answers of tokens whose caches were propagated; None: of passes through all blocks.
        """
        if n_tokens == 0 or (self._records is None and self._table is None):
            return Worth()
        clean = None if self._table is None else self._table.clean
        nll = None if clean is None else clean.nll
        correct = None if clean is None else clean.accuracy
        if path is not None:
            replayed = path.request(sample, n_tokens)
            correct = sum(each.is_correct for each in replayed) / n_tokens
            nll = math.fsum(each.nll for each in replayed) / n_tokens
        elif self._records is not None:
            correct = self._replayed(self._is_correct, sample, n_tokens, exits)
            nll = self._replayed(self._nll, sample, n_tokens, exits) if self._nll else None
        is_beyond = False
        if self._table is not None and clean is not None:
            for (name, block, n_devices), of in met.items():
                errors, counts = _errors(of, n_tokens)
                rises, falls, beyond = self._table.impairment(
                    name, errors, block=self._depth(block), n_devices=n_devices
                )
                is_beyond |= bool(beyond.any())
                nll = None if nll is None else nll + float(rises @ counts) / n_tokens
                if correct is not None and clean.accuracy:  # a share of the right answers becomes wrong
                    correct *= 1.0 - float(falls @ counts) / n_tokens / clean.accuracy
        # Measurements have errors, so the value may be slightly below 0.
        nll = None if nll is None else max(0.0, nll)
        is_known = correct is not None and not math.isnan(correct)
        return Worth(nll, min(1.0, correct) if correct is not None and is_known else None, is_beyond)

    def _depth(self, block: int | None) -> float | None:
        """Convert a block of this world's model to the same relative depth in the measured model."""
        n_measured = None if self._table is None else self._table.n_blocks
        return None if block is None else block * (n_measured or self._n_blocks) / self._n_blocks

    def _replayed(
        self, values: Mapping[int, _Values], sample: int, n_tokens: int, exits: Mapping[int, tuple[int, bool]]
    ) -> float:
        assert self._records is not None
        last = self._records.blocks[-1]
        rows = (sample + np.arange(n_tokens)) % self._records.n_tokens
        found = values[last][rows].astype(np.float64)
        for token, (block, _) in exits.items():
            if block != last and token < n_tokens:
                found[token] = values[block][rows[token]]
        return float(found.mean())

"""Early-exit paths: the exit of each token of a request, by the method that fills the missing KV cache.

A token that leaves after block e has no keys and values in later blocks, although later tokens that go deeper
attend to them. Three methods to fill the gap are published:

* **propagate** -- the state after block e is used as input of every later block, of which only the key and
  value projections are computed (Elbayad et al. 2020, arXiv 1910.10073, which copies the state upwards;
  Schuster et al. 2022, CALM, arXiv 2207.07061, which calls it state propagation). Later tokens attend to
  approximations, so that their outputs depend on the exits of earlier tokens: see
  :mod:`edgesim.model.answers.propagated_paths`.
* **recompute** -- the state is kept at block e until a later token goes deeper, and is then computed through
  the missing blocks together with that token (EE-LLM, Chen et al. 2024, arXiv 2312.04916, section 4.1; FREE,
  Bae et al. 2023, arXiv 2310.05424). Later tokens attend to the same keys and values as if every token had
  passed all blocks.
* **same-path** -- the exit at which the prompt's last token first meets its threshold is used for all tokens
  of the request, whatever their confidence, and the prompt goes no deeper either. No keys or values are ever
  missing.

With *recompute* and *same-path* a token's state after a block equals that of a pass through all blocks,
because a block reads earlier blocks only. :class:`edgesim.model.answers.exit_records.ExitRecords` are
therefore valid for any thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError
from edgesim.model.answers.exit_records import ExitRecords, standard_error
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.impaired_answers import ImpairedAnswers

__all__ = ["CacheFill", "ExitPath", "Left", "path_in_records"]

Floats = npt.NDArray[np.float64]


class CacheFill(StrEnum):
    """Method that fills the keys and values missing after an early exit."""

    PROPAGATE = "propagate"
    RECOMPUTE = "recompute"
    SAME_PATH = "same-path"


class Left(NamedTuple):
    """Exit of one token of a request, and the answer of that exit."""

    block: int
    """Number of blocks before the exit."""
    is_correct: bool
    """Whether the most probable token was the right one."""
    nll: float
    """Negative log likelihood of the right token at the exit [nats]."""


@dataclass(frozen=True, eq=False)
class ExitPath:
    """Exit and answer of every token under one exit rule and one cache-filling method.

    As in :class:`edgesim.model.answers.exit_records.ExitRecords`, a request's sample number, modulo the
    number of tokens, is the row of its first token; its other tokens are the rows that follow.

    Attributes
    ----------
    fill
        Method that fills missing keys and values.
    rule
        Exit rule.
    blocks : [n_exits]
        Number of blocks before each exit; the last exit is the model's own head.
    exits : [n_tokens]
        Index of the exit at which each token leaves. With ``same-path``: the exit of a request that begins
        at this token.
    is_correct, nll : [n_tokens, n_exits] or [n_tokens, 1]
        Answer of every exit, or only of the exit taken.
    """

    fill: CacheFill
    rule: ExitRule
    blocks: tuple[int, ...]
    exits: npt.NDArray[np.int64]
    is_correct: npt.NDArray[np.bool_]
    nll: Floats

    def __post_init__(self) -> None:
        n = len(self.exits)
        if len(self.is_correct) != n or self.nll.shape != self.is_correct.shape:
            raise InputError(
                f"exit path: {n} exits, correctness of shape {self.is_correct.shape} and losses of shape "
                f"{self.nll.shape}; expected a row for each token"
            )

    @property
    def n_tokens(self) -> int:
        """Number of recorded tokens."""
        return len(self.exits)

    def at(self, sample: int, token: int) -> Left:
        """Return exit and answer of a request's token, counted from 0."""
        row = (sample + token) % self.n_tokens
        exit_index = int(self.exits[sample % self.n_tokens if self.fill is CacheFill.SAME_PATH else row])
        column = exit_index if self.nll.shape[1] > 1 else 0
        return Left(self.blocks[exit_index], bool(self.is_correct[row, column]), float(self.nll[row, column]))

    def request(self, sample: int, n_tokens: int) -> list[Left]:
        """Return exit and answer (see :meth:`at`) of each of the first `n_tokens` tokens of a request."""
        return [self.at(sample, token) for token in range(n_tokens)]

    # --- means over the text ------------------------------------------------------------------------

    def shares(self) -> Floats:
        """Share of tokens that leave at each exit, [n_exits].

        With ``same-path``: share of requests, which is the same if a request may begin at any token.
        """
        return np.bincount(self.exits, minlength=len(self.blocks)) / self.n_tokens

    def mean_block(self) -> float:
        """Mean number of blocks that a token passes before its exit."""
        return float(np.asarray(self.blocks)[self.exits].mean())

    def answers(self, n_tokens: int = 64) -> ImpairedAnswers:
        """Mean loss and accuracy at the exits taken, with standard errors over stretches of 256 tokens.

        Parameters
        ----------
        n_tokens
            Tokens per request. Only used with ``same-path``, where the first token determines the exit.
        """
        nll, right = self.by_row(n_tokens)
        return ImpairedAnswers(
            float(nll.mean()), standard_error(nll), float(right.mean()), standard_error(right)
        )

    def by_row(self, n_tokens: int = 64) -> tuple[Floats, Floats]:
        """Return loss [nats] and correctness of each row, as averaged in :meth:`answers`.

        Intended for paired differences. With ``same-path`` a value is the mean over a request of `n_tokens`
        tokens that begins at the row.
        """
        return self._by_row(self.nll, n_tokens), self._by_row(self.is_correct.astype(np.float64), n_tokens)

    def _by_row(self, values: Floats, n_tokens: int) -> Floats:
        columns = self.exits if values.shape[1] > 1 else np.zeros_like(self.exits)
        if self.fill is CacheFill.SAME_PATH:
            n = min(n_tokens, self.n_tokens)
            around = np.vstack(
                [np.zeros_like(values[:1]), np.cumsum(np.vstack([values, values[:n]]), axis=0)]
            )
            values = (around[n : n + self.n_tokens] - around[: self.n_tokens]) / n
        chosen: Floats = np.take_along_axis(values, columns[:, None], axis=1)[:, 0]
        return chosen


def path_in_records(fill: CacheFill, rule: ExitRule, records: ExitRecords) -> ExitPath:
    """Derive the exit path of ``recompute`` or ``same-path`` from records of passes through all blocks.

    Raises
    ------
    InputError
        If `fill` is ``propagate``, which exit records do not cover; if the rule has a different number of
        thresholds than there are inner exits; or if losses (or the entropies that the rule needs) were not
        recorded.
    """
    if fill is CacheFill.PROPAGATE:
        raise InputError(
            "exit path: with propagated caches a token's confidences depend on where earlier tokens left, "
            "which exit records do not contain; use measured paths (PropagatedPaths)"
        )
    if records.nll is None:
        raise InputError("exit path: no losses (nll) in these exit records; measure them again")
    return ExitPath(
        fill=fill,
        rule=rule,
        blocks=records.blocks,
        exits=records.leave(**{rule.kind: rule.thresholds}),
        is_correct=records.is_correct,
        nll=records.nll,
    )

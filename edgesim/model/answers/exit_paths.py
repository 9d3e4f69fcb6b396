"""Which exit each token of a request leaves at, by what is done about the keys and values it leaves missing.

A token that leaves after block e has no keys and values in the blocks behind e, and later tokens that go
deeper attend to them. Three answers to that are published:

* **propagate** -- its state after block e is taken as its state before every later block, of which only the
  projections to keys and values are computed (Elbayad et al. 2020, arXiv 1910.10073, which copies the state
  upwards; Schuster et al. 2022, CALM, arXiv 2207.07061, which calls it state propagation). Later tokens
  attend to approximations, so that what they say depends on where earlier ones left: see
  :mod:`edgesim.model.answers.propagated_paths`.
* **recompute** -- the state waits at block e until a later token goes deeper, and then passes the missing
  blocks together with it (EE-LLM, Chen et al. 2024, arXiv 2312.04916, section 4.1; FREE, Bae et al. 2023,
  arXiv 2310.05424). All later tokens see what they would see had every token passed all blocks.
* **same-path** -- the exit at which the prompt's last token first meets its threshold is that of all tokens
  of the request, sure or not, and the prompt goes no deeper either. Nothing is ever missing.

In *recompute* and *same-path* a token's state after a block is that of a pass through all blocks, because a
block reads earlier blocks only: :class:`edgesim.model.answers.exit_records.ExitRecords` hold for any
thresholds.
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
    """What is done about keys and values that a token which leaves early does not have."""

    PROPAGATE = "propagate"
    RECOMPUTE = "recompute"
    SAME_PATH = "same-path"


class Left(NamedTuple):
    """Where one token of a request left, and with which answer."""

    block: int
    """After how many blocks."""
    is_correct: bool
    """Whether the most probable token was the right one."""
    nll: float
    """Negative log likelihood of the right token there [nats]."""


@dataclass(frozen=True, eq=False)
class ExitPath:
    """Where every token leaves under one rule and one way of filling caches, and how it is answered there.

    As in :class:`edgesim.model.answers.exit_records.ExitRecords` a request's sample number, modulo the number
    of tokens, is the row of its first token, and its others are the rows that follow.

    Attributes
    ----------
    fill
        What is done about missing keys and values.
    rule
        When a token leaves.
    blocks : [n_exits]
        After how many blocks each exit stands; the last is the model's own head.
    exits : [n_tokens]
        Index of the exit at which each token leaves. Of ``same-path``, at which a request leaves whose first
        token this is.
    is_correct, nll : [n_tokens, n_exits] or [n_tokens, 1]
        The answer of every exit, or only that of the exit taken.
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
        """Tokens recorded."""
        return len(self.exits)

    def at(self, sample: int, token: int) -> Left:
        """Return where a request's token (counted from 0) left, and with which answer."""
        row = (sample + token) % self.n_tokens
        exit_index = int(self.exits[sample % self.n_tokens if self.fill is CacheFill.SAME_PATH else row])
        column = exit_index if self.nll.shape[1] > 1 else 0
        return Left(self.blocks[exit_index], bool(self.is_correct[row, column]), float(self.nll[row, column]))

    def request(self, sample: int, n_tokens: int) -> list[Left]:
        """Return what :meth:`at` does of the first tokens of a request."""
        return [self.at(sample, token) for token in range(n_tokens)]

    # --- means over the text ------------------------------------------------------------------------

    def shares(self) -> Floats:
        """Share of the tokens that leaves at each exit, [n_exits].

        Of ``same-path``: of the requests, which is the same where a request may begin at any token.
        """
        return np.bincount(self.exits, minlength=len(self.blocks)) / self.n_tokens

    def mean_block(self) -> float:
        """Mean number of blocks that tokens pass before they are answered."""
        return float(np.asarray(self.blocks)[self.exits].mean())

    def answers(self, n_tokens: int = 64) -> ImpairedAnswers:
        """Means where tokens leave, with their standard errors over stretches of 256 tokens.

        Parameters
        ----------
        n_tokens
            Of a request; matters to ``same-path`` only, where the exit is the first token's.
        """
        nll, right = self.by_row(n_tokens)
        return ImpairedAnswers(
            float(nll.mean()), standard_error(nll), float(right.mean()), standard_error(right)
        )

    def by_row(self, n_tokens: int = 64) -> tuple[Floats, Floats]:
        """Losses [nats] and correctness behind :meth:`answers`, a value for each row; for paired differences.

        Of ``same-path`` a value is the mean over a request of so many tokens that begins at the row.
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
    """Derive the path of ``recompute`` or ``same-path`` from what exits said in passes through all blocks.

    Raises
    ------
    InputError
        If the caches are propagated, of which these records say nothing; the rule has another number of
        thresholds than there are inner exits; or losses (or entropies, which the rule asks for) were not
        recorded.
    """
    if fill is CacheFill.PROPAGATE:
        raise InputError(
            "exit path: with propagated caches a token's confidences depend on where earlier tokens left, "
            "which exit records do not hold; take the measured paths (PropagatedPaths)"
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

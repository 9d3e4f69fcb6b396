"""True reward of a split: perplexity by real forward passes, counted and timed."""

from __future__ import annotations

import math
import time

from edgesim.errors import InputError
from edgesim.measure.answer_quality import measure_answers
from edgesim.measure.language_model import LanguageModel
from edgesim.measure.text import Text
from edgesim.model.answers.impairment import Erasure

__all__ = ["TrueReward"]


class TrueReward:
    """Relative perplexity ``(PPL_0 - PPL) / PPL_0`` under the loss of elements or packets after a block.

    An evaluation passes the text once, or `repeats` times with new draws. The clean perplexity is measured
    with every evaluation, on the same windows, and is part of its cost.

    Parameters
    ----------
    unit
        ``element`` as in the released code of Chen et al. 2024, or ``packet``.
    n_tokens
        Most tokens predicted in a pass.

    Attributes
    ----------
    n_evaluations, elapsed_s
        Number and total duration of the evaluations so far.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        text: Text,
        *,
        unit: str = "element",
        n_tokens: int = 16_384,
        repeats: int = 1,
        seed: int = 1,
    ) -> None:
        self._model, self._text, self._unit = language_model, text, unit
        self._n_tokens, self._repeats, self._seed = n_tokens, repeats, seed
        self.n_evaluations = 0
        self.elapsed_s = 0.0

    def __call__(self, loss: float, split: int) -> float:
        """Measure the reward at a loss probability and a split.

        Raises
        ------
        InputError
            If there is no such probability or split.
        """
        if not 1 <= split < self._model.n_blocks:
            raise InputError(
                f"true reward after block {split}: model '{self._model.name}' has "
                f"{self._model.n_blocks} blocks; expected a split after 1 to {self._model.n_blocks - 1}"
            )
        began_s = time.perf_counter()
        _, row = measure_answers(
            self._model,
            self._text,
            [Erasure(loss, split, unit=self._unit)],
            n_tokens=self._n_tokens,
            repeats=self._repeats,
            seed=self._seed,
        )
        self.elapsed_s += time.perf_counter() - began_s
        self.n_evaluations += 1
        return -math.expm1(row.nll_rise)

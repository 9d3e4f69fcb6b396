"""Measure how well a model predicts real text while impairments act on its tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy

from edgesim.measure.impairments import impaired
from edgesim.measure.language_model import LanguageModel
from edgesim.measure.text import Text, spread, windows
from edgesim.model.answers.impaired_answers import CLEAN, QualityRow
from edgesim.model.answers.impairment import (
    AllReduceNoise,
    DeviceNoise,
    Erasure,
    FadedNoise,
    Impairment,
    Quantised,
)
from edgesim.rng import key_of

__all__ = ["WINDOW_TOKENS", "generator_of", "measure_answers", "standard_grid"]

WINDOW_TOKENS = 256
"""Tokens in a window; each is predicted from those before it in the window."""

_MOST_LOGITS = 2**23  # logits in one pass, of 4 bytes each
_MOST_WINDOWS = 16  # in one pass; more are no faster
_MOST_SPLITS = 7

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class _Answers:
    """Means by window: negative log likelihood [nats/token] and share of correct tokens."""

    nll: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]


def measure_answers(
    language_model: LanguageModel,
    text: Text,
    impairments: Sequence[Impairment],
    *,
    n_tokens: int = 16_384,
    repeats: int = 1,
    seed: int = 1,
    progress: Progress | None = None,
) -> list[QualityRow]:
    """Measure answer quality without impairment (the first row) and under each impairment.

    Windows of :data:`WINDOW_TOKENS` tokens predict disjoint tokens. The draws of a window in a repeat depend
    on (seed, kind, repeat, window) only: neither the order nor the choice of impairments matters. Levels and
    splits of one kind use the same draws (common random numbers), which reduces the variance of their
    differences.

    Standard errors are those of a mean over windows, each the mean over its tokens and repeats, because
    tokens of one window are not independent. The standard error of the rise over clean answers is that of
    paired differences on the same windows, and much smaller: a window that is easy without impairment is easy
    with it.

    Parameters
    ----------
    n_tokens
        Most tokens to predict: whole windows spread evenly over the text, at least one.
    repeats
        Passes over the text for each impairment, each with new draws.
    progress
        Called with the number of finished passes, their total, and a description of the next one.

    Raises
    ------
    InputError
        If the text is too short for a window, or an impairment does not fit the model.
    """
    length = min(WINDOW_TOKENS, language_model.max_context)
    cut = windows(language_model.tokens(text), length)
    chosen = spread(len(cut), max(1, n_tokens // length))
    judged = cut[chosen]
    n_passes = 1 + sum(_n_repeats(impairment, repeats) for impairment in impairments)
    done = 0

    def measured(impairment: Impairment | None, repeat: int) -> _Answers:
        nonlocal done
        if progress is not None:
            progress(done, n_passes, CLEAN if impairment is None else _described(impairment))
        answers = _answers(language_model, judged, chosen, impairment, seed, repeat)
        done += 1
        return answers

    clean = measured(None, 0)
    rows = [_row(None, [clean], clean, length)]
    for impairment in impairments:
        if impairment.is_nothing:
            done += 1
            rows.append(_row(impairment, [clean], clean, length))
            continue
        passes = [measured(impairment, repeat) for repeat in range(_n_repeats(impairment, repeats))]
        rows.append(_row(impairment, passes, clean, length))
    if progress is not None:
        progress(n_passes, n_passes, "done")
    return rows


def standard_grid(n_blocks: int, *, n_heads: int = 8) -> list[Impairment]:
    """Return the impairments of a model's table: levels from negligible to severe, splits after every block.

    For a model with many blocks, up to 7 splits spread evenly. Rows with more devices than a block has heads
    are left out.
    """
    nmse = [10 ** (exponent / 3) for exponent in range(-12, 1)]
    coarse = [10 ** (exponent / 3) for exponent in (-9, -6, -4, -3, -2, -1, 0)]  # bends at the top
    n_splits = min(n_blocks - 1, _MOST_SPLITS)
    splits = [1 + (n_blocks - 2) * i // max(1, n_splits - 1) for i in range(n_splits)]
    probabilities = (0.02, 0.05, 0.1, 0.2, 0.3)
    grid: list[Impairment] = [AllReduceNoise(level) for level in nmse]
    grid += [DeviceNoise(level, n) for n in (2, 4, 8) if n <= n_heads for level in coarse]
    grid += [Quantised(bits, n) for n in (1, 2, 4, 6, 7, 8) if n <= n_heads for bits in (2, 3, 4, 5, 6, 8)]
    for block in splits:
        grid += [Erasure(p, block) for p in probabilities]
        grid += [Erasure(p, block, unit="packet") for p in probabilities]
    for block in sorted({splits[i] for i in (0, len(splits) // 2, -1)} if splits else ()):
        grid += [Erasure(p, block, is_rescaled=True) for p in probabilities]
    grid += [FadedNoise(level, m) for m in (1, 2) for level in coarse]
    return grid


def _n_repeats(impairment: Impairment, repeats: int) -> int:
    """Return the number of passes; one for rounding, which draws nothing."""
    return 1 if isinstance(impairment, Quantised) or impairment.is_nothing else repeats


@torch.inference_mode()
def _answers(
    language_model: LanguageModel,
    judged: npt.NDArray[np.int64],
    chosen: Sequence[int],
    impairment: Impairment | None,
    seed: int,
    repeat: int,
) -> _Answers:
    model = language_model.model
    length, vocabulary = judged.shape[1] - 1, int(model.config.vocab_size)
    batch = max(1, min(_MOST_WINDOWS, _MOST_LOGITS // (length * vocabulary)))
    nll: list[torch.Tensor] = []
    accuracy: list[torch.Tensor] = []
    for start in range(0, len(judged), batch):
        tokens = torch.from_numpy(judged[start : start + batch]).to(model.device)
        if impairment is None:
            logits = model(tokens[:, :-1], use_cache=False).logits
        else:
            draws = [
                generator_of(seed, impairment, repeat, window) for window in chosen[start : start + batch]
            ]
            with impaired(language_model, impairment, draws):
                logits = model(tokens[:, :-1], use_cache=False).logits
        targets = tokens[:, 1:]
        losses = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
        nll.append(losses.double().mean(dim=1))
        accuracy.append((logits.argmax(dim=-1) == targets).double().mean(dim=1))
    return _Answers(torch.cat(nll).cpu().numpy(), torch.cat(accuracy).cpu().numpy())


def generator_of(seed: int, impairment: Impairment, repeat: int, window: int) -> torch.Generator:
    """Return the random generator of a window, identified by its place in the text."""
    # The key leaves out level, split and devices, so that all of them use the same draws.
    key = key_of("answers", seed, impairment.name, repeat, window)
    return torch.Generator().manual_seed(key % 2**63)


def _described(impairment: Impairment) -> str:
    after = "" if impairment.block is None else f" after block {impairment.block}"
    return f"{impairment.name} {impairment.level:.3g}{after}"


def _row(
    impairment: Impairment | None, passes: Sequence[_Answers], clean: _Answers, length: int
) -> QualityRow:
    nll = np.mean([each.nll for each in passes], axis=0)
    accuracy = np.mean([each.accuracy for each in passes], axis=0)
    return QualityRow(
        name=CLEAN if impairment is None else impairment.name,
        level=0.0 if impairment is None else impairment.level,
        block=None if impairment is None else impairment.block,
        n_devices=None if impairment is None else impairment.n_devices,
        nll=float(nll.mean()),
        nll_se=_standard_error(nll),
        nll_rise=float((nll - clean.nll).mean()),
        nll_rise_se=_standard_error(nll - clean.nll),
        accuracy=float(accuracy.mean()),
        accuracy_se=_standard_error(accuracy),
        n_tokens=len(nll) * length,
        repeats=len(passes),
    )


def _standard_error(of_windows: npt.NDArray[np.float64]) -> float:
    """Return the standard error of the mean; NaN for a single window."""
    n = len(of_windows)
    return float(of_windows.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan

"""Measure at which exit each token of real text leaves, and its prediction, with propagated KV caches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch

from edgesim.errors import InputError
from edgesim.measure.exits import WINDOW_TOKENS
from edgesim.measure.generation.leaving import Leaving
from edgesim.measure.language_model import LanguageModel
from edgesim.measure.text import Text, Tokens, spread, windows
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.propagated_paths import ExitOutputs, PropagatedPaths

__all__ = ["measure_propagated", "standard_rules", "teacher_forced"]

_ROWS = 320  # sequences in one batch; their caches take some 0.5 GB with the bundled model
_LEVELS = (0.3, 0.6, 2.0)  # confidence thresholds of each exit; 2 is never reached
_LAST_LEVELS = (0.3, 2.0)  # thresholds of the last inner exit, which saves the fewest blocks
_UNIFORM = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9)  # one threshold for all exits
_ENTROPIES = (1.0, 2.0, 3.0)  # one threshold for all exits [nats]

Progress = Callable[[int, int, str], None]


def standard_rules(n_exits: int) -> list[ExitRule]:
    """Return the exit rules of a model's table, for `n_exits` exits including the model's own head.

    Every combination of 0.3, 0.6 and "never" as the exits' confidences (without 0.6 at the last inner one,
    and without "never" for all); one confidence for all exits, from 0.1 to 0.9; and one entropy for all, of
    1, 2 and 3 nats. With more than three inner exits, only one threshold for all: there would be too many
    combinations.
    """
    uniform = [ExitRule.uniform(level, n_exits) for level in _UNIFORM]
    mixed = []
    if n_exits <= 4:
        mixed = [ExitRule(levels) for levels in product(*[_LEVELS] * (n_exits - 2), _LAST_LEVELS)]
    never = ExitRule.fixed(n_exits - 1, n_exits)
    entropies = [ExitRule.uniform(level, n_exits, kind="entropy") for level in _ENTROPIES]
    return [*dict.fromkeys([*uniform, *(rule for rule in mixed if rule != never), *entropies])]


def measure_propagated(
    language_model: LanguageModel,
    text: Text,
    rules: Sequence[ExitRule],
    *,
    n_tokens: int = 16_384,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> PropagatedPaths:
    """Measure early exits with propagated caches on the tokens of :func:`edgesim.measure.exits.exit_records`.

    Teacher forcing: each token is predicted from the true text before it in its window. Each of those earlier
    tokens left at the exit that the rule chose, and its keys and values in later blocks are computed from its
    state there. A window begins with an empty context: no prompt passed all blocks. The measured loss is
    therefore that of a long answer to a short prompt.

    Parameters
    ----------
    progress
        Called with the number of finished passes, their total, and a description of the next one.
    """
    length = min(WINDOW_TOKENS, language_model.max_context)
    cut = windows(language_model.tokens(text), length)
    cut = cut[spread(len(cut), max(1, n_tokens // length))]
    said = teacher_forced(language_model, cut, rules, CacheFill.PROPAGATE, progress=progress)
    blocks = (*language_model.exit_blocks, language_model.n_blocks)
    return PropagatedPaths(blocks, dict(zip(rules, said, strict=True)), dict(provenance or {}))


def teacher_forced(
    language_model: LanguageModel,
    cut: Tokens,
    rules: Sequence[ExitRule],
    fill: CacheFill,
    *,
    n_prompt: int = 0,
    progress: Progress | None = None,
) -> list[ExitOutputs]:
    """Return the predictions of each token of some windows [n_windows, length + 1] under each rule.

    Parameters
    ----------
    n_prompt
        Tokens at the beginning of each window that form the prompt and pass all blocks; the first judged
        token is the one after them. 0: no prompt; the first token may leave early as all others do.

    Returns
    -------
    list of Said
        One per rule. Rows are windows times (length, or length - n_prompt + 1 with a prompt), window by
        window.
    """
    if not 0 <= n_prompt < cut.shape[1] - 1:
        raise InputError(f"a prompt of {n_prompt} tokens in windows of {cut.shape[1] - 1}; expected fewer")
    side_by_side = max(1, _ROWS // len(cut)) if len(cut) <= _ROWS else 1
    found: list[ExitOutputs] = []
    for start in range(0, len(rules), side_by_side):
        if progress is not None:
            progress(start, len(rules), f"leaving early, {fill}: {rules[start]}")
        some = rules[start : start + side_by_side]
        parts = [
            _read(language_model, cut[first : first + _ROWS], some, fill, n_prompt)
            for first in range(0, len(cut), _ROWS)
        ]
        for number in range(len(some)):
            own = [part[number] for part in parts]
            found.append(ExitOutputs(*(np.concatenate(values) for values in zip(*own, strict=True))))
    if progress is not None:
        progress(len(rules), len(rules), "done")
    return found


@torch.inference_mode()
def _read(
    language_model: LanguageModel, cut: Tokens, rules: Sequence[ExitRule], fill: CacheFill, n_prompt: int
) -> list[ExitOutputs]:
    n_windows, length = len(cut), cut.shape[1] - 1
    tokens = torch.from_numpy(np.tile(cut, (len(rules), 1)))
    leaving = Leaving(
        language_model, [rule for rule in rules for _ in range(n_windows)], [fill] * len(tokens)
    )
    columns: dict[str, list[torch.Tensor]] = {name: [] for name in ExitOutputs._fields}
    for position in range(max(0, n_prompt - 1), length):
        is_prompt = position < n_prompt
        step = leaving.read(tokens[:, 0 if is_prompt else position : position + 1], is_prompt=is_prompt)
        logs, target = step.log_probabilities, tokens[:, position + 1]
        best, guess = logs.max(dim=-1)
        columns["exits"].append(step.exits)
        columns["confidence"].append(best.exp().double().clamp(max=1.0))
        columns["nll"].append(logs.gather(1, target[:, None])[:, 0].double().neg().clamp(min=0.0))
        columns["is_correct"].append(guess == target)
    whole = {
        name: torch.stack(values, dim=1).view(len(rules), -1).numpy() for name, values in columns.items()
    }
    return [
        ExitOutputs(**{name: values[number] for name, values in whole.items()})
        for number in range(len(rules))
    ]

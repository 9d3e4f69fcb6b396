"""Token-by-token generation in which each token leaves at the first exit that meets its threshold.

All rows of a batch pass through all blocks; a row that has left keeps its state from there on. A block
computes keys and values from the state it is given, so a kept state fills the block's cache exactly as state
propagation does (Elbayad et al. 2020, arXiv 1910.10073), in any model family. This wastes computing time,
which is not measured here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch

from edgesim.errors import InputError
from edgesim.measure.exits import logits_after
from edgesim.measure.language_model import LanguageModel
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule

__all__ = ["Leaving", "Step"]


class Step(NamedTuple):
    """Predictions of the next token, by row."""

    exits: torch.Tensor
    """Index of the exit taken, [n_rows]."""
    log_probabilities: torch.Tensor
    """Log probabilities at that exit, after temperature scaling, [n_rows, n_vocabulary]."""


class Leaving:
    """Sequences of equal length, each with its own exit rule and its own cache fill.

    Parameters
    ----------
    rules, fills : [n_rows]
        When tokens of a sequence leave, and how their missing keys and values are filled.

    Notes
    -----
    The first call reads the whole prompt through all blocks: its keys and values are complete under
    ``propagate`` and ``recompute``. Under ``same-path`` all later tokens take the exit of the prompt's last
    token; later blocks are still computed here, but no returned value depends on them.
    """

    def __init__(
        self, language_model: LanguageModel, rules: Sequence[ExitRule], fills: Sequence[CacheFill]
    ) -> None:
        n_inner = len(language_model.exit_blocks)
        if len(rules) != len(fills) or any(len(rule.thresholds) != n_inner for rule in rules):
            raise InputError(
                f"early exits: {len(rules)} rules and {len(fills)} cache fills; expected one of each per "
                f"sequence, and in each rule a threshold for each of {n_inner} inner exits"
            )
        self._model = language_model
        self._thresholds = torch.tensor([rule.thresholds for rule in rules], dtype=torch.float64)
        self._is_confidence = torch.tensor([rule.kind == "confidence" for rule in rules])
        self._propagates = torch.tensor([fill is CacheFill.PROPAGATE for fill in fills])
        self._keeps_path = torch.tensor([fill is CacheFill.SAME_PATH for fill in fills])
        self._path: torch.Tensor | None = None
        self._cache: Any = None

    @torch.inference_mode()
    def read(self, tokens: torch.Tensor, *, is_prompt: bool = False) -> Step:
        """Process tokens [n_rows, n_tokens] and predict the token after the last of them.

        Parameters
        ----------
        is_prompt
            Whether these tokens are the prompt, which passes all blocks. Otherwise one token per row is
            expected.
        """
        if not is_prompt and tokens.shape[1] != 1:
            raise InputError(f"early exits: {tokens.shape[1]} tokens at once; expected one, or the prompt")
        may_keep = torch.zeros_like(self._propagates) if is_prompt else self._propagates
        taken = _Taken(len(tokens), len(self._model.exit_blocks))
        with self._leaving(taken, may_keep):
            out = self._model.model(tokens, past_key_values=self._cache, use_cache=True)
        self._cache = out.past_key_values
        logs = (out.logits[:, -1].float() / self._model.temperatures[-1]).log_softmax(dim=-1)
        taken.say(logs, torch.ones(len(tokens), dtype=torch.bool))
        if self._path is None:
            self._path = taken.exits
        assert taken.logs is not None
        return Step(taken.exits, taken.logs)

    @contextmanager
    def _leaving(self, taken: _Taken, may_keep: torch.Tensor) -> Iterator[None]:
        """Install hooks that evaluate the exits in a pass and keep the states of rows that have left."""
        blocks = self._model.model.get_submodule(self._model.places.blocks)
        with ExitStack() as hooks:
            for number, block in enumerate(blocks, start=1):
                hook = self._hook(number, taken, may_keep)
                hooks.callback(block.register_forward_hook(hook, with_kwargs=True).remove)
            yield

    def _hook(self, number: int, taken: _Taken, may_keep: torch.Tensor) -> Any:
        def hook(_: Any, args: Any, kwargs: Any, output: Any) -> Any:
            state = output[0] if isinstance(output, tuple) else output
            given = args[0] if args else kwargs["hidden_states"]
            is_kept = taken.has_left & may_keep
            if is_kept.any():
                state = torch.where(is_kept[:, None, None], given, state)
            if number in self._model.exit_blocks:
                self._ask(self._model.exit_blocks.index(number), state[:, -1], taken)
            return (state, *output[1:]) if isinstance(output, tuple) else state

        return hook

    def _ask(self, column: int, state: torch.Tensor, taken: _Taken) -> None:
        logits = logits_after(self._model, self._model.exits, state, self._model.exit_blocks[column])
        logs = (logits.float() / self._model.temperatures[column]).log_softmax(dim=-1)
        probabilities, threshold = logs.exp(), self._thresholds[:, column]
        leaves = torch.where(
            self._is_confidence,
            probabilities.amax(dim=-1).double() >= threshold,
            -(probabilities * logs).sum(dim=-1).double() <= threshold,
        )
        if self._path is not None:
            leaves = torch.where(self._keeps_path, self._path == column, leaves)
        taken.say(logs, leaves)


class _Taken:
    """Exits taken so far in one pass."""

    def __init__(self, n_rows: int, n_inner: int) -> None:
        self.has_left = torch.zeros(n_rows, dtype=torch.bool)
        self.exits = torch.full((n_rows,), n_inner, dtype=torch.int64)
        self.logs: torch.Tensor | None = None
        self._n_asked = 0

    def say(self, logs: torch.Tensor, leaves: torch.Tensor) -> None:
        """Record an exit's log probabilities for the rows that leave at it."""
        now = leaves & ~self.has_left
        self.exits[now] = self._n_asked
        self.logs = logs if self.logs is None else torch.where(now[:, None], logs, self.logs)
        self.has_left = self.has_left | leaves
        self._n_asked += 1

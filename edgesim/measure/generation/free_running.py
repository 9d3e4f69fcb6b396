"""Measure greedy free-running generation while tokens leave early."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from edgesim.errors import InputError
from edgesim.measure.generation.leaving import Leaving
from edgesim.measure.language_model import LanguageModel
from edgesim.measure.text import Text, Tokens, spread, windows
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.answers.free_running import Divergence, FreeRunning, first_differences

__all__ = ["measure_free_running", "prompts_of", "written"]

N_PROMPTS, PROMPT_TOKENS, NEW_TOKENS = 128, 64, 128

_BATCH = 16  # texts evaluated in one pass

Progress = Callable[[int, int, str], None]


def prompts_of(language_model: LanguageModel, text: Text, n_prompts: int, n_tokens: int) -> Tokens:
    """Return non-overlapping prompts spread over a text, [n_prompts or fewer, n_tokens]."""
    cut = windows(language_model.tokens(text), n_tokens)
    return cut[spread(len(cut), n_prompts), :-1]


@torch.inference_mode()
def written(
    language_model: LanguageModel, prompts: Tokens, rule: ExitRule, fill: CacheFill, n_tokens: int
) -> tuple[Tokens, Tokens]:
    """Generate `n_tokens` tokens after each prompt greedily, each the most probable one at its exit.

    The prompt passes all blocks, or with ``same-path`` those up to its request's exit; see :class:`Leaving`.

    Returns
    -------
    tokens, exits : [n_prompts, n_tokens]
        The generated tokens, and the index of the exit of each.
    """
    longest = language_model.max_context
    if n_tokens < 1 or prompts.shape[1] + n_tokens > longest + 1:
        raise InputError(
            f"{n_tokens} tokens after prompts of {prompts.shape[1]}: model '{language_model.name}' has a "
            f"context of {longest} tokens; expected at least one token, and no more than fit"
        )
    leaving = Leaving(language_model, [rule] * len(prompts), [fill] * len(prompts))
    step = leaving.read(torch.from_numpy(prompts), is_prompt=True)
    tokens, exits = [step.log_probabilities.argmax(dim=-1)], [step.exits]
    while len(tokens) < n_tokens:
        step = leaving.read(tokens[-1][:, None])
        tokens.append(step.log_probabilities.argmax(dim=-1))
        exits.append(step.exits)
    return torch.stack(tokens, dim=1).numpy(), torch.stack(exits, dim=1).numpy()


def measure_free_running(
    language_model: LanguageModel,
    text: Text,
    rules: Iterable[ExitRule],
    *,
    n_prompts: int = N_PROMPTS,
    prompt_tokens: int = PROMPT_TOKENS,
    n_tokens: int = NEW_TOKENS,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> FreeRunning:
    """Generate from prompts of a text under each rule and cache fill, and compare with the full model.

    Not modelled: sampling at a temperature, where two runs of the full model differ, too.
    """
    prompts = prompts_of(language_model, text, n_prompts, prompt_tokens)
    n_exits = len(language_model.exit_blocks) + 1
    blocks = np.asarray([*language_model.exit_blocks, language_model.n_blocks])
    never = ExitRule.fixed(n_exits - 1, n_exits)
    reference, _ = written(language_model, prompts, never, CacheFill.RECOMPUTE, n_tokens)
    full_nll = float(_nll(language_model, prompts, reference).mean())
    wanted = [(rule, fill) for rule in rules for fill in CacheFill]
    rows = []
    for number, (rule, fill) in enumerate(wanted):
        if progress is not None:
            progress(number, len(wanted), f"writing, {fill}: {rule}")
        tokens, exits = written(language_model, prompts, rule, fill, n_tokens)
        nll = _nll(language_model, prompts, tokens)
        rows.append(
            Divergence(
                rule=rule,
                fill=fill,
                first_difference=first_differences(tokens, reference),
                same_share=tuple((tokens == reference).mean(axis=0).tolist()),
                nll=float(nll.mean()),
                nll_se=float(nll.std(ddof=1) / math.sqrt(len(nll))) if len(nll) > 1 else math.nan,
                full_nll=full_nll,
                mean_block=float(blocks[exits].mean()),
            )
        )
    if progress is not None:
        progress(len(wanted), len(wanted), "done")
    settings = {"n_prompts": len(prompts), "prompt_tokens": prompt_tokens, "n_tokens": n_tokens}
    return FreeRunning(tuple(rows), {**(provenance or {}), **settings})


@torch.inference_mode()
def _nll(language_model: LanguageModel, prompts: Tokens, tokens: Tokens) -> np.ndarray[Any, Any]:
    """Return each text's mean loss under the full model and its last temperature, [n_texts]."""
    found = []
    for start in range(0, len(prompts), _BATCH):
        new = torch.from_numpy(tokens[start : start + _BATCH])
        whole = torch.cat([torch.from_numpy(prompts[start : start + _BATCH]), new], dim=1)
        logits = language_model.model(whole[:, :-1], use_cache=False).logits[:, -new.shape[1] :]
        logs = (logits.float() / language_model.temperatures[-1]).log_softmax(dim=-1)
        found.append(-logs.gather(2, new[..., None])[..., 0].double().mean(dim=1))
    return torch.cat(found).numpy()

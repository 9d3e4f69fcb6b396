"""Early exits of a real model: logits, training, temperatures, and predictions of every token."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from edgesim.errors import InputError
from edgesim.measure.answer_quality import generator_of
from edgesim.measure.exit_heads import ExitHeads
from edgesim.measure.impairments import impaired
from edgesim.measure.language_model import LanguageModel
from edgesim.measure.model_folder import EXITS_RECORD, EXITS_WEIGHTS
from edgesim.measure.text import Text, spread, windows
from edgesim.model.answers.exit_records import ExitRecords, expected_calibration_error
from edgesim.model.answers.impairment import Combined, Impairment

__all__ = [
    "ExitQuality",
    "calibrated",
    "exit_logits",
    "exit_quality",
    "exit_records",
    "expected_calibration_error",
    "logits_after",
    "save_exits",
    "train_exits",
]

WINDOW_TOKENS = 256
_BATCH = 8  # windows in a pass
_CALIBRATION_TOKENS = 32_768  # most tokens used to fit temperatures
_LEAST_INVERSE, _MOST_INVERSE = 0.05, 20.0  # beyond, predictions are uniform or deterministic
_SWEEPS = 20  # most passes over the calibration text; Newton's method takes four or five

Progress = Callable[[int, int, str], None]


def exit_logits(language_model: LanguageModel, tokens: torch.Tensor) -> list[torch.Tensor]:
    """Return the logits of every exit, the model's own head last, each [n_sequences, n_tokens, n_vocabulary].

    An exit is its trained head where the model has one, else a logit lens: the last norm and the unembedding,
    applied to the state between two blocks.
    """
    states = _states(language_model, tokens)
    return [
        logits_after(language_model, language_model.exits, states.after[b], b)
        for b in language_model.exit_blocks
    ] + [states.logits]


def train_exits(
    language_model: LanguageModel,
    text: Text,
    blocks: Sequence[int],
    *,
    steps: int = 300,
    rate: float = 1e-3,
    batch: int = 4,
    seed: int = 1,
    progress: Progress | None = None,
) -> LanguageModel:
    """Train exit heads after the given blocks, with the model's own weights frozen.

    Each head starts with the last norm's weights and an identity projection. That is the logit lens where the
    norm is an RMSNorm; a head neither centres nor has a bias, so for a family with LayerNorm it starts
    further from it. All heads are trained together, each on its own cross-entropy (DeeBERT's second stage,
    Xin et al. 2020, arXiv 2004.12993).

    Raises
    ------
    InputError
        If a block is not an inner one, or the text is too short.
    """
    chosen = tuple(sorted(set(blocks)))
    if not chosen or chosen[0] < 1 or chosen[-1] >= language_model.n_blocks:
        raise InputError(
            f"exits after blocks {', '.join(map(str, chosen)) or 'none'}: model '{language_model.name}' has "
            f"{language_model.n_blocks} blocks; expected inner ones, 1 to {language_model.n_blocks - 1}"
        )
    cut = torch.from_numpy(_windows(language_model, text))
    heads = _fresh_heads(language_model, chosen)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.0)
    draws = torch.Generator().manual_seed(seed % 2**63)
    heads.train()
    for step in range(steps):
        if progress is not None and step % 10 == 0:
            progress(step, steps, "training exits")
        rows = cut[torch.randint(len(cut), (min(batch, len(cut)),), generator=draws)]
        with torch.no_grad():
            states = _states(language_model, rows[:, :-1])
        for group in optimizer.param_groups:
            group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        targets = rows[:, 1:].flatten()
        losses = [
            cross_entropy(
                logits_after(language_model, heads, states.after[block], block).flatten(0, 1), targets
            )
            for block in chosen
        ]
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        optimizer.step()
    heads.eval().requires_grad_(False)
    return replace(language_model, exits=heads, exit_blocks=chosen, temperatures=(1.0,) * (len(chosen) + 1))


def calibrated(language_model: LanguageModel, text: Text) -> LanguageModel:
    """Fit one temperature to each exit by maximum likelihood on held-out text.

    Guo et al. 2017, arXiv 1706.04599. The negative log likelihood is convex in the inverse temperature and is
    minimised by Newton's method, with one pass over the text per step, so that no logits are stored. Of a
    long text, windows spread over it are used. Temperatures are bounded to 1/20 to 20; an exit at a bound
    cannot be calibrated.
    """
    cut = _windows(language_model, text)
    cut = cut[spread(len(cut), max(1, _CALIBRATION_TOKENS // (cut.shape[1] - 1)))]
    inverse = torch.ones(len(language_model.exit_blocks) + 1, dtype=torch.float64)
    for _ in range(_SWEEPS):
        slope, bend = torch.zeros_like(inverse), torch.zeros_like(inverse)
        for logits, target in _passes(language_model, cut):
            for column, each in enumerate(logits):
                weights = (each * float(inverse[column])).softmax(dim=-1)
                mean = (weights * each).sum(dim=-1)
                slope[column] += (mean - each.gather(1, target[:, None])[:, 0]).double().sum()
                bend[column] += ((weights * each.square()).sum(dim=-1) - mean.square()).double().sum()
        wanted = inverse - slope / bend.clamp(min=1e-12)
        wanted = wanted.clamp(inverse / 2, inverse * 2).clamp(_LEAST_INVERSE, _MOST_INVERSE)
        is_still = bool(((wanted - inverse).abs() <= 1e-7 * inverse).all())
        inverse = wanted
        if is_still:
            break
    return replace(language_model, temperatures=tuple((1.0 / inverse).tolist()))


def exit_records(
    language_model: LanguageModel,
    text: Text,
    *,
    n_tokens: int = 16_384,
    impairment: Impairment | None = None,
    seed: int = 1,
    provenance: Mapping[str, Any] | None = None,
) -> ExitRecords:
    """Record every exit's prediction of the tokens of :func:`edgesim.measure.answer_quality.measure_answers`.

    Every exit reads the states of a pass in which all earlier tokens went through all blocks (teacher
    forcing). For ways to fill caches that lack some of these keys and values, see
    :mod:`edgesim.model.answers.exit_paths`.

    Parameters
    ----------
    impairment, seed
        Impairment of all tokens in the pass, with the draws that :func:`measure_answers` makes for it. An
        exit at the split itself reads the state before it is sent.

    Raises
    ------
    InputError
        If the impairment is a combined one, or does not fit the model.
    """
    if isinstance(impairment, Combined):
        raise InputError("exits under combined impairments are not measured; give one at a time")
    cut = _windows(language_model, text)
    chosen = spread(len(cut), max(1, n_tokens // (cut.shape[1] - 1)))
    parts: dict[str, list[npt.NDArray[Any]]] = {"confidence": [], "entropy": [], "nll": [], "is_correct": []}
    meets = None if impairment is None or impairment.is_nothing else _Meets(impairment, seed, chosen)
    for logits, target in _passes(language_model, cut[chosen], meets):
        said = [
            _said(each / temperature, target)
            for each, temperature in zip(logits, language_model.temperatures, strict=True)
        ]
        for name in parts:
            parts[name].append(np.stack([each[name] for each in said], axis=1))
    whole = {name: np.concatenate(part) for name, part in parts.items()}
    return ExitRecords(
        blocks=(*language_model.exit_blocks, language_model.n_blocks),
        confidence=np.minimum(whole["confidence"].astype(np.float64), 1.0),
        is_correct=whole["is_correct"].astype(np.bool_),
        entropy=np.maximum(whole["entropy"].astype(np.float64), 0.0),
        nll=np.maximum(whole["nll"].astype(np.float64), 0.0),
        provenance=dict(provenance or {}),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitQuality:
    """Prediction quality of one exit on one text.

    Attributes
    ----------
    block
        Number of blocks before the exit.
    temperature
        Divisor of its logits.
    bits_per_byte
        Negative log likelihood per byte of text [bit], which is comparable across tokenizers.
    nll
        Mean negative log likelihood [nats/token]; its exp is the perplexity.
    accuracy
        Share of tokens for which the correct one was the most probable.
    calibration_error
        Expected calibration error over 15 bins.
    """

    block: int
    temperature: float
    bits_per_byte: float
    nll: float
    accuracy: float
    calibration_error: float


def exit_quality(language_model: LanguageModel, text: Text) -> tuple[ExitQuality, ...]:
    """Evaluate every exit on a whole text."""
    records = exit_records(language_model, text, n_tokens=2**62)
    assert records.nll is not None
    # Windows omit the first token and a remainder shorter than a window, so bytes are counted in proportion.
    n_tokens = len(language_model.tokens(text))
    bytes_per_token = text.n_bytes / n_tokens
    rows = []
    for column, block in enumerate(records.blocks):
        nll = float(records.nll[:, column].mean())
        confidence, is_correct = records.confidence[:, column], records.is_correct[:, column]
        rows.append(
            ExitQuality(
                block=block,
                temperature=language_model.temperatures[column],
                bits_per_byte=nll / math.log(2) / bytes_per_token,
                nll=nll,
                accuracy=float(is_correct.mean()),
                calibration_error=expected_calibration_error(confidence, is_correct),
            )
        )
    return tuple(rows)


def save_exits(language_model: LanguageModel, folder: Path, **further: Any) -> None:
    """Write a model's exits and temperatures into a folder, from which the model is then loaded with them."""
    if language_model.exits is not None:
        weights = {name: p.half().cpu().contiguous() for name, p in language_model.exits.state_dict().items()}
        save_file(weights, folder / EXITS_WEIGHTS)
    record = {
        "blocks": list(language_model.exit_blocks),
        "temperatures": [round(each, 6) for each in language_model.temperatures],
        "kind": "logit-lens" if language_model.exits is None else "trained",
        **further,
    }
    (folder / EXITS_RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


# --- passes ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Meets:
    """Impairment of a pass, and the windows' places in the text, which seed its draws."""

    impairment: Impairment
    seed: int
    windows: Sequence[int]


@dataclass(frozen=True, slots=True)
class _States:
    """States between blocks, and the model's own logits."""

    after: Sequence[torch.Tensor]
    logits: torch.Tensor


def _states(language_model: LanguageModel, tokens: torch.Tensor) -> _States:
    out = language_model.model(tokens, output_hidden_states=True, use_cache=False)
    return _States(out.hidden_states, out.logits)


def logits_after(
    language_model: LanguageModel, heads: ExitHeads | None, state: torch.Tensor, block: int
) -> torch.Tensor:
    """Return the logits [..., n_vocabulary] of the exit after a block, from the state [..., hidden_size].

    They are those of the trained head where heads are given, else of a logit lens.
    """
    model = language_model.model
    unembed = model.get_output_embeddings()
    if heads is None:
        logits: torch.Tensor = unembed(model.get_submodule(language_model.places.head)(state))
    else:
        logits = heads.logits(state, block, unembed)
    cap = getattr(model.config, "final_logit_softcapping", None)
    return logits if cap is None else torch.tanh(logits / cap) * cap


def _fresh_heads(language_model: LanguageModel, blocks: Sequence[int]) -> ExitHeads:
    """Make heads that start with the weights of the last norm, if it has any."""
    heads = ExitHeads(blocks, hidden_size=language_model.hidden_size)
    norm: Any = language_model.model.get_submodule(language_model.places.head)
    weight = getattr(norm, "weight", None)
    if weight is not None:
        # Gemma's norms scale by 1 + weight; others by the weight itself.
        shift = 1.0 if "gemma" in str(language_model.model.config.model_type) else 0.0
        with torch.no_grad():
            for block in blocks:
                heads[str(block)].norm.weight.copy_(weight + shift)  # type: ignore[union-attr, operator]
    return heads


def _windows(language_model: LanguageModel, text: Text) -> npt.NDArray[np.int64]:
    length = min(WINDOW_TOKENS, language_model.max_context)
    return windows(language_model.tokens(text), length)


@torch.inference_mode()
def _passes(
    language_model: LanguageModel, cut: npt.NDArray[np.int64], meets: _Meets | None = None
) -> Iterator[tuple[list[torch.Tensor], torch.Tensor]]:
    for start in range(0, len(cut), _BATCH):
        rows = torch.from_numpy(cut[start : start + _BATCH])
        if meets is None:
            logits = exit_logits(language_model, rows[:, :-1])
        else:
            logits = _impaired_logits(language_model, rows[:, :-1], meets, start)
        yield [each.flatten(0, 1).float() for each in logits], rows[:, 1:].flatten()


def _impaired_logits(
    language_model: LanguageModel, tokens: torch.Tensor, meets: _Meets, start: int
) -> list[torch.Tensor]:
    impairment = meets.impairment
    draws = [generator_of(meets.seed, impairment, 0, w) for w in meets.windows[start : start + len(tokens)]]
    with impaired(language_model, impairment, draws):
        logits = exit_logits(language_model, tokens)
    if impairment.block in language_model.exit_blocks:  # the head there reads the state before it is sent
        column = language_model.exit_blocks.index(impairment.block)
        logits[column] = exit_logits(language_model, tokens)[column]
    return logits


def _said(logits: torch.Tensor, target: torch.Tensor) -> dict[str, npt.NDArray[Any]]:
    logs = logits.log_softmax(dim=-1)
    best, guess = logs.max(dim=-1)
    return {
        "confidence": best.exp().numpy(),
        "entropy": -(logs.exp() * logs).sum(dim=-1).numpy(),
        "nll": -logs.gather(1, target[:, None])[:, 0].numpy(),
        "is_correct": (guess == target).numpy(),
    }

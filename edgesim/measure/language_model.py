"""Load language models for measuring answers: real weights and tokenizers, from safetensors only."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from edgesim.errors import InputError
from edgesim.measure.exit_heads import ExitHeads
from edgesim.measure.model_folder import (
    EXITS_RECORD,
    EXITS_WEIGHTS,
    folder_digest,
    model_folder,
    model_name,
)
from edgesim.measure.places import MODULE_PATHS, ModulePaths
from edgesim.measure.text import Text, Tokens, tokens_of
from edgesim.model.families import FAMILIES

__all__ = ["LanguageModel", "load_language_model"]

_EAGER = frozenset({"gemma2"})  # caps attention scores, which the fused kernel does not support


@dataclass(frozen=True, eq=False, kw_only=True)
class LanguageModel:
    """A causal language model, ready for forward passes.

    Attributes
    ----------
    model
        The transformers module: in float32, in evaluation mode, its parameters frozen.
    tokenizer
        Its tokenizer.
    name
        Name in tables.
    digest
        SHA-256 over config, weights, tokenizer and exits.
    places
        Paths of its family's modules.
    exits
        Trained exit heads; None if there are none, and its exits are logit lenses.
    exit_blocks
        Numbers of blocks before its early exits; increasing.
    temperatures
        Divisors of each exit's logits, the model's own head last; ones if nothing was fitted.
    """

    model: Any
    tokenizer: Any
    name: str
    digest: str
    places: ModulePaths
    exits: ExitHeads | None
    exit_blocks: tuple[int, ...]
    temperatures: tuple[float, ...]

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.model.get_submodule(self.places.blocks))

    @property
    def n_heads(self) -> int:
        """Number of query heads in a block."""
        return int(self.model.config.num_attention_heads)

    @property
    def hidden_size(self) -> int:
        """Size of the state between two blocks, in elements a token."""
        return int(self.model.config.hidden_size)

    @property
    def max_context(self) -> int:
        """Largest number of tokens in a pass."""
        return int(self.model.config.max_position_embeddings)

    def tokens(self, text: Text) -> Tokens:
        """Return the token ids of a text's documents in one row (:func:`edgesim.measure.text.tokens_of`).

        Raises
        ------
        InputError
            If the tokenizer returns ids for which the model has no embedding.
        """
        row, n_known = tokens_of(text, self.tokenizer), int(self.model.config.vocab_size)
        if len(row) and row.max() >= n_known:
            raise InputError(
                f"model '{self.name}': its tokenizer returns token {row.max()}, but its vocabulary has "
                f"{n_known}; expected the tokenizer that it was trained with"
            )
        return row


def load_language_model(model: str | Path) -> LanguageModel:
    """Load ``bundled``, a local folder in the Hugging Face format, or a model on the Hugging Face Hub.

    Only safetensors are read; code in the folder is not run. Exits are read from ``exits.safetensors`` and
    ``exits.json`` if these are in the folder.

    Raises
    ------
    InputError
        If there is no such model, its weights are pickles only, its family is unknown here or is no
        decoder, or its exits do not fit it.
    """
    folder, name = model_folder(model), model_name(model)
    family = _family(folder, name)
    logging.disable_progress_bar()
    how: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    loaded: Any
    found: Any
    try:
        loaded, found = AutoModelForCausalLM.from_pretrained(  # type: ignore[misc]
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            attn_implementation="eager" if family in _EAGER else "sdpa",
            **how,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, **how)
    except Exception as error:  # for arbitrary files, transformers raises errors of any type
        raise InputError(f"model '{name}': transformers cannot load {folder} ({_reason(error)})") from error
    loaded.eval().requires_grad_(False)
    places = MODULE_PATHS[family]
    _check_complete(name, places, found)
    _check_head(name, places, loaded)
    blocks: Any = loaded.get_submodule(places.blocks)
    exits, exit_blocks, temperatures = _exits(folder, len(blocks), int(loaded.config.hidden_size))
    return LanguageModel(
        model=loaded,
        tokenizer=tokenizer,
        name=name,
        digest=folder_digest(folder),
        places=places,
        exits=exits,
        exit_blocks=exit_blocks,
        temperatures=temperatures,
    )


def _family(folder: Path, name: str) -> str:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises errors of any type
        raise InputError(f"model '{name}': transformers cannot read its config ({_reason(error)})") from error
    family = str(config.model_type)
    decoders = [each for each, traits in FAMILIES.items() if traits.is_causal]
    if family not in MODULE_PATHS or family not in decoders:
        raise InputError(
            f"model '{name}' is of the family '{family}', for which edgesim cannot measure answers; expected "
            f"one of {', '.join(decoders)}"
        )
    return family


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _check_complete(name: str, places: ModulePaths, found: Mapping[str, Any]) -> None:
    """Refuse weights that leave some to be drawn at random, or contain blocks that the config does not."""
    lacking = sorted(found["missing_keys"]) + sorted(str(key) for key, *_ in found["mismatched_keys"])
    left_over = sorted(key for key in found["unexpected_keys"] if key.startswith(f"{places.blocks}."))
    for keys, complaint in (
        (lacking, "its weights lack"),
        (left_over, "its config has no place for"),
    ):
        if keys:
            raise InputError(
                f"model '{name}': {complaint} {', '.join(keys[:3])} ({len(keys)} altogether); expected the "
                "weights of all its blocks and its head, and no others: fetch or save the model again"
            )


def _check_head(name: str, places: ModulePaths, loaded: Any) -> None:
    """Refuse a last norm or an unembedding that does not fit the states between blocks, as exits require."""
    width = getattr(loaded.config, "word_embed_proj_dim", loaded.config.hidden_size)
    try:
        norm = loaded.get_submodule(places.head)
    except AttributeError:
        norm = None
    if norm is None or width != loaded.config.hidden_size:
        raise InputError(
            f"model '{name}': no norm at its end, or embeddings whose width ({width}) is not that of its "
            f"states ({loaded.config.hidden_size}), so that no exit can read its states; use another model"
        )


def _exits(
    folder: Path, n_blocks: int, hidden_size: int
) -> tuple[ExitHeads | None, tuple[int, ...], tuple[float, ...]]:
    """Return heads, blocks and temperatures of a folder; by default logit lenses at the quarters."""
    weights, record = _exit_weights(folder / EXITS_WEIGHTS), _exit_record(folder / EXITS_RECORD)
    try:
        if "blocks" in record:
            blocks = tuple(operator.index(block) for block in record["blocks"])
        elif weights is not None:
            blocks = tuple(sorted({int(name.partition(".")[0]) for name in weights}))
        else:
            blocks = tuple(sorted({n_blocks * quarter // 4 for quarter in (1, 2, 3)} - {0}))
        temperatures = tuple(float(each) for each in record.get("temperatures", (1.0,) * (len(blocks) + 1)))
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{folder / EXITS_RECORD}: blocks or temperatures that are no numbers ({error}); train the exits "
            "again"
        ) from error
    if list(blocks) != sorted(set(blocks)) or any(not 0 < block < n_blocks for block in blocks):
        raise InputError(
            f"{folder}: exits after {blocks} of {n_blocks} blocks; expected increasing inner blocks"
        )
    if len(temperatures) != len(blocks) + 1 or any(not 0 < each < float("inf") for each in temperatures):
        raise InputError(
            f"{folder / EXITS_RECORD}: temperatures {temperatures}; expected a positive one for each of "
            f"{len(blocks)} exits and one for the model's own head"
        )
    if weights is None:
        return None, blocks, temperatures
    heads = ExitHeads(blocks, hidden_size=hidden_size)
    try:
        heads.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except RuntimeError as error:
        raise InputError(
            f"{folder / EXITS_WEIGHTS}: these heads do not fit the model or the blocks {blocks} ({error})"
        ) from error
    heads.eval().requires_grad_(False)
    return heads, blocks, temperatures


def _exit_weights(file: Path) -> dict[str, torch.Tensor] | None:
    if not file.is_file():
        return None
    try:
        weights: dict[str, torch.Tensor] = load_file(file)
    except SafetensorError as error:
        raise InputError(f"{file}: not a safetensors file ({error}); train the exits again") from error
    if not weights or not all(name.partition(".")[0].isdecimal() for name in weights):
        raise InputError(f"{file}: no exit heads; expected tensors called '2.norm.weight' and the like")
    return weights


def _exit_record(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not valid JSON ({error}); train the exits again") from error
    if not isinstance(record, dict):
        raise InputError(f"{file}: expected an object with 'blocks' and 'temperatures'")
    return record

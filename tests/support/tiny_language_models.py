"""Language models of random weights, small enough for a slow second opinion; their tokens are bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from small_models import SMALL
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from edgesim.measure.language_model import LanguageModel
from edgesim.measure.places import MODULE_PATHS

END = "<|endoftext|>"


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, and a mark between documents."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: number for number, symbol in enumerate([END, *alphabet])}
    of_bytes = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    of_bytes.add_special_tokens([END])
    of_bytes.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    of_bytes.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=of_bytes, bos_token=END, eos_token=END)


def tiny(family: str = "llama", *, dtype: torch.dtype = torch.float32, **changes: Any) -> LanguageModel:
    """A model of two blocks with weights so large that each part of it matters."""
    config = CONFIG_MAPPING[family].from_dict(SMALL[family])
    config.num_hidden_layers = 2
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:2]
    for name, value in changes.items():
        setattr(config, name, value)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        with torch.no_grad():
            for parameter in model.parameters():
                centre = 1.0 if parameter.ndim == 1 else 0.0
                parameter.normal_(centre, 0.2)
    model = model.to(dtype).eval().requires_grad_(False)
    return LanguageModel(
        model=model,
        tokenizer=tokenizer(),
        name=f"tiny {family}",
        digest="0" * 64,
        places=MODULE_PATHS[family],
        exits=None,
        exit_blocks=(1,),
        temperatures=(1.0, 1.0),
    )


def save_tiny(folder: Path, family: str = "llama") -> LanguageModel:
    """Write a model as save_pretrained does, and return it."""
    saved = tiny(family)
    saved.model.save_pretrained(folder)
    saved.tokenizer.save_pretrained(folder)
    return saved

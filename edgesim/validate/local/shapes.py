"""Models for real runs: the one shipped with edgesim, and larger ones with random weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgesim.errors import InputError
from edgesim.measure.model_folder import BUNDLED, model_folder
from edgesim.model.architecture import Architecture
from edgesim.nearest import suggest

__all__ = ["DEFAULT_SHAPES", "SHAPES", "ModelShape", "shape_named"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A model by its config.

    Attributes
    ----------
    config
        The config as for transformers.
    seed
        Seed of its random weights; None: trained weights.
    """

    name: str
    about: str
    config: Mapping[str, Any]
    seed: int | None = 1

    @property
    def architecture(self) -> Architecture:
        """The architecture in float32, in which the model runs."""
        return Architecture.from_config(dict(self.config), name=self.name, dtype="float32")

    def order(self) -> dict[str, Any]:
        """Return the part of an order with which a worker builds the model."""
        order: dict[str, Any] = {
            "config": json.dumps(dict(self.config)),
            "name": self.name,
            "seed": self.seed,
        }
        return order if self.seed is not None else {**order, "trained": BUNDLED}


def _llama(hidden: int, mlp: int, blocks: int, heads: int, kv_heads: int, vocabulary: int) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": mlp,
        "num_hidden_layers": blocks,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
    }


def _bundled() -> dict[str, Any]:
    text = (Path(model_folder(BUNDLED)) / "config.json").read_text(encoding="utf-8")
    config: dict[str, Any] = json.loads(text)
    return config


def _shapes() -> dict[str, ModelShape]:
    shapes = [
        ModelShape(
            name=BUNDLED, about="the trained model shipped with edgesim", config=_bundled(), seed=None
        ),
        ModelShape(
            name="gpt2-124m",
            about="as GPT-2's smallest: 12 blocks of 768, one matrix for queries, keys and values",
            config={
                "model_type": "gpt2",
                "n_embd": 768,
                "n_layer": 12,
                "n_head": 12,
                "n_positions": 1024,
                "vocab_size": 50257,
                "tie_word_embeddings": True,
            },
        ),
        ModelShape(
            name="llama-deep-134m",
            about="a Llama of 24 narrow blocks of 640, as many heads for keys as for queries",
            config=_llama(640, 1728, 24, 10, 10, 24000),
        ),
        ModelShape(
            name="llama-wide-190m",
            about="a Llama of 10 wide blocks of 1280, four query heads to a KV head",
            config=_llama(1280, 3456, 10, 20, 4, 16000),
        ),
        ModelShape(
            name="llama-300m",
            about="a Llama of 22 blocks of 1024, two query heads to a KV head",
            config=_llama(1024, 2816, 22, 16, 8, 32000),
        ),
        ModelShape(
            name="tiny",
            about="a Llama of 2 blocks, for tests only: fast, and too small for meaningful times",
            config=_llama(64, 176, 2, 4, 2, 256),
        ),
        ModelShape(
            name="tiny-gpt2",
            about="a GPT-2 of 3 blocks, for tests",
            config={
                "model_type": "gpt2",
                "n_embd": 64,
                "n_layer": 3,
                "n_head": 4,
                "n_positions": 128,
                "vocab_size": 256,
                "tie_word_embeddings": True,
            },
        ),
    ]
    return {shape.name: shape for shape in shapes}


SHAPES: Mapping[str, ModelShape] = MappingProxyType(_shapes())
"""Models by name."""

DEFAULT_SHAPES = (BUNDLED, "gpt2-124m", "llama-deep-134m", "llama-wide-190m")


def shape_named(name: str) -> ModelShape:
    """Return a model by its name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in SHAPES:
        raise InputError(f"--shape: no model '{name}'; {suggest(name, SHAPES)}")
    return SHAPES[name]

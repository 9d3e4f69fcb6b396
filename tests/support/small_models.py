"""Small models, one of each family, and a profile written by hand."""

from __future__ import annotations

from itertools import product

from edgesim.model.architecture import Architecture, Component
from edgesim.model.ceilings import Ceilings
from edgesim.model.families import FAMILIES
from edgesim.model.profile import Phase, Point, Profile

_SIZES = {
    "n_blocks": 6,
    "hidden_size": 64,
    "n_heads": 8,
    "n_kv_heads": 2,
    "head_dim": 16,  # not the hidden size by the heads, where a family may choose
    "mlp_size": 160,
    "vocab_size": 500,
    "max_context": 256,
}
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SMALL: dict[str, dict[str, object]] = {
    name: family.config(**_SIZES) | _TOKENS for name, family in FAMILIES.items()
}
"""A config of each family."""

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 500,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2 = {
    "model_type": "gpt2",
    "n_embd": 48,
    "n_layer": 4,
    "n_head": 4,
    "n_positions": 128,
    "vocab_size": 300,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MILLISECONDS = {
    Component.EMBEDDING: 0.25,
    Component.ATTENTION: 1.0,
    Component.MLP: 2.0,
    Component.BLOCK: 3.0,
    Component.HEAD: 4.0,
    Component.STEP: 0.5,
}
PROMPTS, CONTEXTS = (1, 8, 64), (16, 64)


def by_hand(component: Component, n_new: int, n_context: int, *, batch: int = 1, n_shards: int = 1) -> float:
    """A made-up time, linear in the prompt, the context and the batch, so that interpolation is exact."""
    return MILLISECONDS[component] * 1e-3 * (n_new + n_context / 64) * (3 + batch) / 4 / n_shards


def handmade_profile(
    architecture: Architecture, *, batches: tuple[int, ...] = (1,), shards: tuple[int, ...] = (1,)
) -> Profile:
    """Two phases of every component, and one point held out that is predicted 20 % too long.

    Of an encoder one phase; of shards, the components that have one.
    """
    calls = [(Phase.PREFILL, n, 0) for n in PROMPTS]
    calls += [(Phase.DECODE, 1, c) for c in CONTEXTS if architecture.is_causal]
    points = [
        Point(
            component=component,
            phase=phase,
            batch=batch,
            n_new=n_new,
            n_context=n_context,
            median_s=by_hand(component, n_new, n_context, batch=batch, n_shards=n_shards),
            spread_s=1e-5,
            n_repeats=9,
            n_shards=n_shards,
        )
        for n_shards, batch, component, (phase, n_new, n_context) in product(
            shards, batches, Component, calls
        )
        if n_shards == 1 or component in (Component.ATTENTION, Component.MLP, Component.BLOCK)
    ]
    held_out = Point(
        component=Component.BLOCK,
        phase=Phase.PREFILL,
        batch=1,
        n_new=4,
        n_context=0,
        median_s=10e-3,
        spread_s=1e-5,
        n_repeats=9,
        held_out=True,
        predicted_s=12e-3,
    )
    return Profile(
        architecture=architecture,
        device="cpu",
        threads=2,
        ceilings=Ceilings(flop_per_s=1e10, bytes_per_s=1e9, overhead_s=1e-4),
        host={"cpu": "a processor", "n_cores": 2},
        versions={"torch": "2.0"},
        measured_at="2026-01-01T00:00:00+00:00",
        grid={"prompts": list(PROMPTS)},
        points=(*points, held_out),
    )

"""A Llama's forward pass written out in loops over numpy arrays, devices and channel included.

Independent of torch's and transformers' code: after Touvron et al. 2023 (arXiv 2302.13971, section 2.2) and
Su et al. 2021 (arXiv 2104.09864, equation 34, in the half-split form that checkpoints are stored for).
Tensor parallelism is carried out device by device (Shoeybi et al. 2019, arXiv 1909.08053).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
AllReduce = Callable[[Sequence[Array]], Array]
"""Gets each device's partial sum of one token, and returns what they all receive."""
Split = Callable[[int, int, Array], Array]
"""Gets the number of blocks done, the token's position and its state, and returns what arrives."""


def slow_logits(
    weights: dict[str, Array],
    config: Any,
    tokens: Sequence[int],
    *,
    n_devices: int = 1,
    all_reduce: AllReduce = sum,  # type: ignore[assignment]
    split: Split = lambda _block, _position, state: state,
) -> Array:
    """Logits of one sequence, [n_tokens, n_vocabulary].

    All-reduces are called block by block: attention's for each token, then the MLP's for each token.
    """
    states = [weights["model.embed_tokens.weight"][token] for token in tokens]
    for number in range(config.num_hidden_layers):
        block = {
            name.removeprefix(f"model.layers.{number}."): value
            for name, value in weights.items()
            if name.startswith(f"model.layers.{number}.")
        }
        normed = [_rms_norm(x, block["input_layernorm.weight"], config.rms_norm_eps) for x in states]
        mixed = _attention(block, config, normed)
        sums = [all_reduce(_parts(x, block["self_attn.o_proj.weight"], n_devices)) for x in mixed]
        states = [x + y for x, y in zip(states, sums, strict=True)]
        normed = [_rms_norm(x, block["post_attention_layernorm.weight"], config.rms_norm_eps) for x in states]
        wide = [_gated(block, x) for x in normed]
        sums = [all_reduce(_parts(x, block["mlp.down_proj.weight"], n_devices)) for x in wide]
        states = [x + y for x, y in zip(states, sums, strict=True)]
        states = [split(number + 1, position, x) for position, x in enumerate(states)]
    final = [_rms_norm(x, weights["model.norm.weight"], config.rms_norm_eps) for x in states]
    return np.array([weights["lm_head.weight"] @ x for x in final])


def _rms_norm(x: Array, scale: Array, eps: float) -> Array:
    return scale * x / math.sqrt(sum(float(v) ** 2 for v in x) / len(x) + eps)


def _parts(x: Array, matrix: Array, n_devices: int) -> list[Array]:
    """Each device's part of ``matrix @ x``, its share of x being consecutive."""
    width = len(x) // n_devices
    return [
        matrix[:, width * device : width * (device + 1)] @ x[width * device : width * (device + 1)]
        for device in range(n_devices)
    ]


def _attention(block: dict[str, Array], config: Any, states: Sequence[Array]) -> list[Array]:
    width, n_heads, n_groups = config.head_dim, config.num_attention_heads, config.num_key_value_heads
    queries = [(block["self_attn.q_proj.weight"] @ x).reshape(n_heads, width) for x in states]
    keys = [(block["self_attn.k_proj.weight"] @ x).reshape(n_groups, width) for x in states]
    values = [(block["self_attn.v_proj.weight"] @ x).reshape(n_groups, width) for x in states]
    theta = config.rope_parameters["rope_theta"]
    mixed = []
    for now in range(len(states)):
        heads = []
        for head in range(n_heads):
            group = head * n_groups // n_heads
            query = _turned(queries[now][head], now, theta)
            scores = [
                float(query @ _turned(keys[past][group], past, theta)) / math.sqrt(width)
                for past in range(now + 1)
            ]
            exponentials = [math.exp(score - max(scores)) for score in scores]
            heads.append(
                sum(e * values[past][group] for past, e in enumerate(exponentials)) / sum(exponentials)
            )
        mixed.append(np.concatenate(heads))
    return mixed


def _turned(vector: Array, position: int, theta: float) -> Array:
    """Rotate pairs (i, i + half) by position times theta^(-2 i / size)."""
    turned, half = vector.copy(), len(vector) // 2
    for i in range(half):
        angle = position * theta ** (-2 * i / len(vector))
        turned[i] = vector[i] * math.cos(angle) - vector[i + half] * math.sin(angle)
        turned[i + half] = vector[i + half] * math.cos(angle) + vector[i] * math.sin(angle)
    return turned


def _gated(block: dict[str, Array], x: Array) -> Array:
    gate, up = block["mlp.gate_proj.weight"] @ x, block["mlp.up_proj.weight"] @ x
    return np.array([u * g / (1 + math.exp(-g)) for g, u in zip(gate, up, strict=True)])

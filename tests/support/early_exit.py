"""A Llama that stops early: token by token, written in torch's matrix products alone.

What a token that has left lacks is computed when a later token asks for it: the keys and values of the blocks
that it has not passed come from its own state, which waits where it left (recomputation as in EE-LLM, Chen et
al. 2024, arXiv 2312.04916, section 4.1). So a later token sees what it would see had nobody left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

Weights = dict[str, torch.Tensor]


@dataclass
class Walk:
    """Tokens of one text on their way through a model's blocks.

    Attributes
    ----------
    weights
        Of the model and of its exits, whose names begin with ``exit.``.
    blocks
        After how many blocks the inner exits stand.
    temperatures
        Of these, and of the last head.
    """

    weights: Weights
    config: Any
    blocks: tuple[int, ...]
    temperatures: tuple[float, ...]
    states: list[torch.Tensor] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    n_blocks_in_time: int = 0

    def __post_init__(self) -> None:
        config = self.config
        longest, width = config.max_position_embeddings, config.head_dim
        room = (config.num_hidden_layers, config.num_key_value_heads, longest, width)
        self.keys, self.values = torch.full(room, torch.nan), torch.full(room, torch.nan)
        theta = config.rope_parameters["rope_theta"]
        angles = torch.arange(longest)[:, None] * theta ** (-torch.arange(width // 2) * 2 / width)
        self.cosines, self.sines = angles.cos(), angles.sin()

    def step(self, token: int, leaves: Callable[[int, float, float], bool]) -> tuple[int, int]:
        """Read a token; return after which block it left, and its guess at the next."""
        self.states.append(self.weights["model.embed_tokens.weight"][token])
        self.passed.append(0)
        last = self.config.num_hidden_layers
        for block in range(1, last + 1):
            for position in range(len(self.states)):  # those that left before come first, in their order
                if self.passed[position] < block:
                    self._pass(position, block - 1)
            self.n_blocks_in_time += 1
            if block in self.blocks or block == last:
                logs = self._log_probabilities(block)
                confidence, guess = logs.max(dim=0)
                entropy = -(logs.exp() * logs).sum()
                if block == last or leaves(block, float(confidence.exp()), float(entropy)):
                    return block, int(guess)
        raise AssertionError

    def _pass(self, position: int, layer: int) -> None:
        assert self.passed[position] == layer
        config, state = self.config, self.states[position]
        own = f"model.layers.{layer}."
        width, n_heads, n_groups = config.head_dim, config.num_attention_heads, config.num_key_value_heads
        normed = self._norm(state, own + "input_layernorm.weight")
        q, k, v = (
            (self.weights[f"{own}self_attn.{name}_proj.weight"] @ normed).view(n, width)
            for name, n in (("q", n_heads), ("k", n_groups), ("v", n_groups))
        )
        self.keys[layer, :, position], self.values[layer, :, position] = self._turned(k, position), v
        keys, values = self.keys[layer, :, : position + 1], self.values[layer, :, : position + 1]
        query = self._turned(q, position).view(n_groups, n_heads // n_groups, width)
        scores = query @ keys.mT / width**0.5
        mixed = (scores.softmax(dim=-1) @ values).reshape(-1)
        state = state + self.weights[own + "self_attn.o_proj.weight"] @ mixed
        normed = self._norm(state, own + "post_attention_layernorm.weight")
        gate, up = (self.weights[f"{own}mlp.{name}_proj.weight"] @ normed for name in ("gate", "up"))
        self.states[position] = state + self.weights[own + "mlp.down_proj.weight"] @ (
            gate * gate.sigmoid() * up
        )
        self.passed[position] = layer + 1

    def _log_probabilities(self, block: int) -> torch.Tensor:
        state = self.states[-1]
        if block in self.blocks:
            temperature = self.temperatures[self.blocks.index(block)]
            normed = self._norm(state, f"exit.{block}.norm.weight")
            normed = self.weights[f"exit.{block}.projection.weight"] @ normed
        else:
            temperature = self.temperatures[-1]
            normed = self._norm(state, "model.norm.weight")
        return (self.weights["lm_head.weight"] @ normed / temperature).log_softmax(dim=0)

    def _norm(self, x: torch.Tensor, scale: str) -> torch.Tensor:
        return self.weights[scale] * x / (x.square().mean() + self.config.rms_norm_eps).sqrt()

    def _turned(self, x: torch.Tensor, position: int) -> torch.Tensor:
        cosine, sine = self.cosines[position], self.sines[position]
        one, two = x.chunk(2, dim=-1)
        return torch.cat([one * cosine - two * sine, two * cosine + one * sine], dim=-1)

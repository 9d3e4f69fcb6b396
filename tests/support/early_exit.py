"""A Llama that stops early: token by token, written in torch's matrix products alone.

What a token that has left lacks is, by ``fill``:

* ``recompute``: computed when a later token asks for it. The keys and values of the blocks that it has not
  passed come from its own state, which waits where it left (EE-LLM, Chen et al. 2024, arXiv 2312.04916,
  section 4.1). So a later token sees what it would see had no token left.
* ``propagate``: projected at once, in every later block, from its state where it left (Elbayad et al. 2020,
  arXiv 1910.10073), and never computed.
* ``same-path``: nothing, because all tokens leave where the first that was asked left; a block behind that is
  never entered.
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
    fill
        What becomes of keys and values that a token lacks.
    said
        Log probabilities of the exit that was taken last.
    """

    weights: Weights
    config: Any
    blocks: tuple[int, ...]
    temperatures: tuple[float, ...]
    states: list[torch.Tensor] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    n_blocks_in_time: int = 0
    fill: str = "recompute"
    path: int | None = None
    said: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    def __post_init__(self) -> None:
        config = self.config
        longest, width = config.max_position_embeddings, config.head_dim
        room = (config.num_hidden_layers, config.num_key_value_heads, longest, width)
        self.keys, self.values = torch.full(room, torch.nan), torch.full(room, torch.nan)
        theta = config.rope_parameters["rope_theta"]
        angles = torch.arange(longest)[:, None] * theta ** (-torch.arange(width // 2) * 2 / width)
        self.cosines, self.sines = angles.cos(), angles.sin()

    def prompt(self, tokens: list[int], leaves: Callable[[int, float, float], bool]) -> tuple[int, int]:
        """Read a prompt; return what :meth:`step` does of its last token.

        All of it passes all blocks, but only those before the exit taken where all tokens keep to one path.
        """
        for token in tokens[:-1]:
            self.states.append(self.weights["model.embed_tokens.weight"][token])
            self.passed.append(0)
        fill, self.fill = self.fill, "same-path" if self.fill == "same-path" else "recompute"
        told = self.step(tokens[-1], leaves)
        self.fill = fill
        if fill != "same-path":
            for layer in range(self.config.num_hidden_layers):
                for position in range(len(self.states)):
                    if self.passed[position] == layer:
                        self._pass(position, layer)
        return told

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
                if self.path is not None:
                    is_left = block == self.path
                else:
                    is_left = block == last or leaves(block, float(confidence.exp()), float(entropy))
                if is_left:
                    self.said = logs
                    self._has_left(block)
                    return block, int(guess)
        raise AssertionError

    def _has_left(self, block: int) -> None:
        if self.fill == "same-path":
            self.path = block
        if self.fill == "propagate":
            for layer in range(block, self.config.num_hidden_layers):
                self._project(len(self.states) - 1, layer)
            self.passed[-1] = self.config.num_hidden_layers

    def _project(self, position: int, layer: int) -> torch.Tensor:
        """Fill a block's cache from a token's state as it is; return what attention reads of that state."""
        own = f"model.layers.{layer}."
        normed = self._norm(self.states[position], own + "input_layernorm.weight")
        k, v = (
            (self.weights[f"{own}self_attn.{name}_proj.weight"] @ normed).view(-1, self.config.head_dim)
            for name in ("k", "v")
        )
        self.keys[layer, :, position], self.values[layer, :, position] = self._turned(k, position), v
        return normed

    def _pass(self, position: int, layer: int) -> None:
        assert self.passed[position] == layer
        config, state = self.config, self.states[position]
        own = f"model.layers.{layer}."
        width, n_heads, n_groups = config.head_dim, config.num_attention_heads, config.num_key_value_heads
        normed = self._project(position, layer)
        q = (self.weights[f"{own}self_attn.q_proj.weight"] @ normed).view(n_heads, width)
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

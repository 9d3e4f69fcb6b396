"""What a transformer is made of: parameters, FLOP, bytes, KV cache and activations; whole, or a shard of it.

Everything here is arithmetic on a Hugging Face `config.json`; no framework is imported and no weight is
ever loaded. `edgesim.model.families` says which families are read. All blocks of a model have the same
weights, so that one block stands for every block; where some blocks have a sliding window and others have
not, it stands for their mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from edgesim.errors import InputError
from edgesim.files import UnreadableFileError, absolute, json_value, read_bounded
from edgesim.model.config import canonical, read_sizes, text_part
from edgesim.model.parts import Component, FloatArray, Slice, Tokens
from edgesim.model.quantisation.packing import Even
from edgesim.model.quantisation.quantisation import read_storage
from edgesim.model.shape import DTYPE_BYTES, Shape

__all__ = [
    "DTYPE_BYTES",
    "Architecture",
    "Component",
    "FloatArray",
    "Slice",
    "Tokens",
    "Work",
]


_LARGEST_WEIGHT_BYTES = 4
_MOST_CONFIG_BYTES = 16_000_000  # the longest, which name every module that is not quantised, have some MB
LOGIT_BYTES = 4  # transformers' generate casts the last logits to float32 before it chooses a token


@dataclass(frozen=True, slots=True)
class Work:
    """What one call of a component computes and moves: the two sides of a roofline."""

    flop: float
    moved_bytes: float


@dataclass(frozen=True)
class Architecture(Shape):
    r"""The shape of one transformer in one number format.

    FLOP and bytes per call, for a batch of :math:`b` sequences, each bringing :math:`n` new tokens to
    :math:`c` tokens already in the KV cache (prefill: :math:`n` = prompt, :math:`c = 0`; decode:
    :math:`n = 1`). A multiplication and an addition count as two FLOP; :math:`P` is the number of weights
    in the matrices of a component, :math:`s` the bytes of a number. Each weight is read in the bytes in which
    it is stored, which a config's quantisation or :meth:`quantised` may change.

    ========= ============================================== =============================================
    component FLOP                                           bytes moved
    ========= ============================================== =============================================
    embedding 0                                              rows gathered and written: ``(1 + r) b n h s``
    attention ``2 b n P + 4 b q p``                           weights, activations, KV read and written
    mlp       ``2 b n P``                                    weights, activations
    block     attention + mlp                                attention + mlp
    head      ``2 b P`` (one position only)                  weights, activations, logits
    step      0                                              logits read, cast to float32, searched
    ========= ============================================== =============================================

    with :math:`h` the hidden size, :math:`q` = heads x head size and :math:`r` the number of tables looked
    up (2 in GPT-2, which adds a position table). :math:`p` is the number of (query, key) pairs that the mask
    leaves, each of which costs a product with the key and one with the value: in a decoder, query :math:`i`
    of the new tokens sees :math:`c + i` keys, or as many as its sliding window holds,
    :math:`p = \sum_i \min(c + i, w)`; in an encoder every token sees all, :math:`p = n^2`. Every weight is
    read once a call; every matrix product reads its input and writes its output once; the scores of
    attention never reach memory, as in a fused kernel.

    **Encoders** (BERT and its like) answer in one pass over the text: nothing is generated, there is no KV
    cache, and a request has one output token, which stands for the answer. Their head is a classifier on the
    state of the first token.

    **Sliding windows** bound the work of attention and what it reads. The memory of the KV cache counts
    every token in every block all the same: what a server reserves that evicts nothing, and an upper bound
    for one that does.

    Not modelled: the FLOP of normalisation, softmax, activation functions and residual additions (less than
    one per cent of a block), the rereading of what does not fit a cache, and the eviction of cached tokens
    that no window reaches any more.

    What the attributes mean, :class:`~edgesim.model.shape.Shape` says.
    """

    # --- reading -----------------------------------------------------------------------------------------

    @classmethod
    def from_config(
        cls, config: Mapping[str, object], *, name: str, dtype: str, reads_quantisation: bool = True
    ) -> Self:
        """Read the contents of a Hugging Face `config.json`, or the language model's part of one.

        Parameters
        ----------
        reads_quantisation
            Whether weights are stored as a `quantization_config` says; else in the number format.

        Raises
        ------
        InputError
            If the family, the number format or the quantisation is not supported, or a size is missing or
            impossible.
        """
        if dtype not in DTYPE_BYTES:
            raise InputError(
                f"model {name}: dtype {dtype!r} is not known; use one of {', '.join(DTYPE_BYTES)}"
            )
        text = text_part(config)
        plain = cls(name=name, dtype=dtype, config=canonical(text), **read_sizes(text, name))
        if not reads_quantisation:
            return plain
        storage = read_storage(
            config,
            name,
            family=plain.traits,
            n_blocks=plain.n_blocks,
            ties_embeddings=plain.tied_embeddings,
        )
        return replace(plain, storage=storage)

    @classmethod
    def from_path(
        cls, path: Path, *, dtype: str, name: str | None = None, reads_quantisation: bool = True
    ) -> Self:
        """Read a local model folder (its `config.json`) or a config file, which name the model if need be.

        Raises
        ------
        InputError
            If there is no such file, if it is not a JSON object, or for what :meth:`from_config` refuses.
        """
        file = path / "config.json" if path.is_dir() else path
        own_name = absolute(file).parent.name if file.name == "config.json" else file.stem
        return cls.from_config(
            _read_json(file), name=name or own_name, dtype=dtype, reads_quantisation=reads_quantisation
        )

    # --- quantised weights -------------------------------------------------------------------------------

    def quantised(self, bytes_per_weight: float | None) -> Self:
        """Return the same model with every weight stored in so many bytes; None: in the number format's.

        What a device stores shrinks, and so does what a call of a block or of the head reads. Activations, KV
        cache and arithmetic keep the number format, and so do the few rows that the embedding looks up. A
        `quantization_config` is known matrix by matrix instead:
        :class:`~edgesim.model.quantisation.packing.Packed`.

        Not modelled: the work of unpacking; that formats leave some matrices as they were, as
        distributed-llama leaves the embedding in float32.

        Raises
        ------
        InputError
            If it is no size of a weight.
        """
        if bytes_per_weight is None:
            return replace(self, storage=None)
        if not 0 < bytes_per_weight <= _LARGEST_WEIGHT_BYTES:
            raise InputError(
                f"model {self.name}: {bytes_per_weight:g} bytes per weight; expected more than 0, and "
                f"{_LARGEST_WEIGHT_BYTES} (float32) at most: bits are to be divided by eight"
            )
        return replace(self, storage=Even(bytes_per_weight))

    def stored_as(self, other: Architecture) -> Self:
        """Return this model, or shard, with its weights stored as another's are."""
        return replace(self, storage=other.storage)

    @property
    def plain(self) -> Self:
        """The same model with its weights in the number format and a cache: what a profile is measured of."""
        return replace(self, storage=None, keeps_cache=True)

    @property
    def bytes_per_weight(self) -> float | None:
        """Mean size of a stored weight where weights are quantised; None: in the number format."""
        if isinstance(self.storage, Even):
            return self.storage.bytes_per_weight
        return None if self.storage is None else self.stored_bytes(self.whole) / self.n_parameters

    # --- shards ------------------------------------------------------------------------------------------

    def shard(self, n_shards: int) -> Self:
        """Return one of `n_shards` equal tensor shards: a model whose blocks are that part of each block.

        A shard holds that share of the heads and of the MLP's width, at the full hidden size; its partial
        results are to be summed with the others' after each half of a block. It holds whole groups of query
        heads with the KV head that they share; where there are fewer KV heads than shards, several shards
        hold the same one, so that their KV caches together are larger than the whole model's.
        Normalisations, the embedding and the head are not divided: each belongs to a device entire.

        Raises
        ------
        InputError
            If the heads or the width cannot be divided so.
        """
        if n_shards == 1:
            return self
        if self.n_shards != 1 or n_shards < 1:
            raise ValueError(f"a shard of 1/{n_shards} of a model of {self.n_shards} shards")
        n_kv_heads, left_over = divmod(self.n_kv_heads, n_shards)
        is_replicated = n_kv_heads == 0 and n_shards % self.n_kv_heads == 0
        if self.n_heads % n_shards or self.mlp_size % n_shards or (left_over and not is_replicated):
            raise InputError(
                f"model {self.name} cannot be cut into {n_shards} equal tensor shards: it has {self.n_heads} "
                f"heads on {self.n_kv_heads} KV heads and an MLP {self.mlp_size} wide. Choose one of "
                f"{', '.join(map(str, self.possible_shards()))}"
            )
        return replace(
            self,
            n_heads=self.n_heads // n_shards,
            n_kv_heads=max(1, n_kv_heads),
            mlp_size=self.mlp_size // n_shards,
            n_shards=n_shards,
        )

    def possible_shards(self) -> tuple[int, ...]:
        """Into how many equal shards the model can be cut, up to one head each."""
        return tuple(
            n
            for n in range(1, self.n_heads + 1)
            if not (self.n_heads % n or self.mlp_size % n)
            and (self.n_kv_heads % n == 0 or n % self.n_kv_heads == 0)
        )

    # --- limits ------------------------------------------------------------------------------------------

    def refusal(self, *, n_prompt_tokens: int, n_output_tokens: int, n_tokens: int) -> str | None:
        """Say why the model cannot serve requests of up to such lengths; None where it can.

        Parameters
        ----------
        n_prompt_tokens, n_output_tokens
            The longest prompt and the longest answer.
        n_tokens
            The most that a prompt and its answer have together.
        """
        if not self.is_causal and n_output_tokens > 1:
            return (
                f"a request of {n_output_tokens} output tokens is drawn, but {self.name} is an encoder: it "
                "answers in one pass and generates nothing, and the answer counts as 1 output token"
            )
        n_held = n_tokens if self.is_causal else n_prompt_tokens  # an encoder's answer is no part of the text
        if n_held > self.max_context:
            return (
                f"a request of {n_held} tokens is drawn, more than the context of {self.name}, "
                f"{self.max_context}"
            )
        return None

    # --- work --------------------------------------------------------------------------------------------

    def work(self, component: Component, *, batch: int, n_new: int, n_context: int) -> Work:
        """FLOP and bytes moved by one call; the formulas are in the class's own text.

        Parameters
        ----------
        component
            What is called.
        batch
            Sequences in the call.
        n_new
            New tokens of each sequence.
        n_context
            Tokens of each sequence already in the KV cache before this call.
        """
        flop, moved_bytes = self.work_arrays(component, batch=batch, n_new=n_new, n_context=n_context)
        return Work(float(flop), float(moved_bytes))

    def work_arrays(
        self, component: Component, *, batch: int, n_new: Tokens, n_context: Tokens
    ) -> tuple[FloatArray, FloatArray]:
        """FLOP and bytes moved, as :meth:`work` gives them, of many calls at once.

        `n_new` and `n_context` are broadcast against each other, and both results have their common shape.
        """
        n, c = np.broadcast_arrays(np.asarray(n_new, np.float64), np.asarray(n_context, np.float64))
        h, s = self.hidden_size, self.dtype_bytes
        n_tokens = batch * n
        weight_bytes = self.component_bytes(component)
        nothing = np.zeros_like(n)
        match component:
            case Component.EMBEDDING:
                n_tables = 1 + (self.n_position_rows > 0) + (self.n_type_rows > 0)
                return nothing, (1 + n_tables) * n_tokens * h * s
            case Component.ATTENTION:
                queries, keys = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
                n_pairs, n_cached = self._seen(n, c)
                flop = 2 * n_tokens * h * (2 * queries + 2 * keys) + 4 * queries * batch * n_pairs
                cache_bytes = self._kv_bytes * batch * (n_cached + 2 * n)  # the new are written, then read
                # In and out of: the projections h -> q, k, v; attention q -> q; the projection q -> h.
                activation_bytes = n_tokens * (2 * h + 4 * queries + 2 * keys) * s
                return flop, weight_bytes + cache_bytes + activation_bytes
            case Component.MLP:
                n_in = 2 if self.gated_mlp else 1
                flop = 2 * n_tokens * (n_in + 1) * h * self.mlp_size
                return flop, weight_bytes + n_tokens * (2 * h + (n_in + 1) * self.mlp_size) * s
            case Component.BLOCK:
                halves = [
                    self.work_arrays(half, batch=batch, n_new=n_new, n_context=n_context)
                    for half in (Component.ATTENTION, Component.MLP)
                ]
                return halves[0][0] + halves[1][0], halves[0][1] + halves[1][1]
            case Component.HEAD if self.is_causal:
                activation_bytes = (2 * n_tokens * h + batch * (h + self.vocab_size)) * s
                return nothing + 2 * batch * h * self.vocab_size, weight_bytes + activation_bytes
            case Component.HEAD:
                n_weights = h * (h + self.n_labels)
                return nothing + 2 * batch * n_weights, weight_bytes + nothing + batch * (3 * h) * s
            case Component.STEP:
                n_logits = self.vocab_size if self.is_causal else self.n_labels
                return nothing, nothing + batch * n_logits * (s + 2 * LOGIT_BYTES)

    def _seen(self, n: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Count (query, key) pairs of one sequence in one block, and the cached tokens that are read."""
        if not self.is_causal:
            return n * (c + n), c
        n_pairs, n_cached = n * c + n * (n + 1) / 2, c
        if self.window is not None:
            share = self.n_windowed / self.n_blocks
            n_within = np.clip(self.window - c, 0, n)  # new tokens before which all are still in the window
            in_window = n_within * c + n_within * (n_within + 1) / 2 + (n - n_within) * self.window
            n_pairs = (1 - share) * n_pairs + share * in_window
            n_cached = (1 - share) * c + share * np.minimum(c, self.window)
        return n_pairs, n_cached

    @cached_property
    def digest(self) -> str:
        """Identify the shape and the number format, whatever the model is called (SHA-256, hexadecimal)."""
        shard = f"\n1/{self.n_shards}" if self.n_shards > 1 else ""
        match self.storage:
            case None:
                weights = ""
            case Even(bytes_per_weight):
                weights = f"\n{bytes_per_weight!r} bytes per weight"
            case packed:
                weights = f"\n{packed!r}"
        cache = "" if self.keeps_cache else "\nno cache"
        return hashlib.sha256(f"{self.config}\n{self.dtype}{shard}{weights}{cache}".encode()).hexdigest()


def _read_json(file: Path) -> Mapping[str, object]:
    try:
        config = json_value(read_bounded(file, _MOST_CONFIG_BYTES))
    except UnreadableFileError as error:
        if not file.exists():
            raise InputError(
                f"no model config at {file} ({error}); give a folder that holds a Hugging Face config.json, "
                "or the file itself"
            ) from None
        raise InputError(f"{file}: {error}; expected the JSON object of a Hugging Face config.json") from None
    if not isinstance(config, dict):
        raise InputError(f"{file} holds a {type(config).__name__}; expected the JSON object of a config.json")
    return config

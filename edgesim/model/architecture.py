"""Transformer architectures: parameters, FLOP, bytes, KV cache and activations of a model or a tensor shard.

All values are computed from a Hugging Face `config.json`; no framework is imported and no weights are loaded.
`edgesim.model.families` lists the supported families. All blocks of a model have weights of the same shapes,
so that one block represents every block; if only some blocks have a sliding window, it represents their mean.
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
_MOST_CONFIG_BYTES = 16_000_000  # the longest configs, which list all unquantised modules, have some MB
LOGIT_BYTES = 4  # transformers' generate casts the last logits to float32 before it chooses a token


@dataclass(frozen=True, slots=True)
class Work:
    """FLOP and bytes moved by one call of a component: the two sides of a roofline."""

    flop: float
    moved_bytes: float


@dataclass(frozen=True)
class Architecture(Shape):
    r"""Shape of one transformer in one number format.

    FLOP and bytes per call, for a batch of :math:`b` sequences, each adding :math:`n` new tokens to
    :math:`c` tokens already in the KV cache (prefill: :math:`n` = prompt, :math:`c = 0`; decode:
    :math:`n = 1`). A multiplication and an addition count as two FLOP; :math:`P` is the number of weights
    in the matrices of a component, :math:`s` the bytes of a number. A weight is read at its stored size,
    which a config's quantisation or :meth:`quantised` may change.

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

    with :math:`h` the hidden size, :math:`q` = heads x head size and :math:`r` the number of embedding tables
    looked up (2 in GPT-2, which adds a position table). :math:`p` is the number of (query, key) pairs that
    the mask leaves, each of which costs one product with the key and one with the value: in a decoder, query
    :math:`i` of the new tokens attends to :math:`c + i` keys, or to at most the :math:`w` of its sliding
    window, :math:`p = \sum_i \min(c + i, w)`; in an encoder every token attends to all, :math:`p = n^2`.
    Every weight is read once per call; every matrix product reads its input and writes its output once;
    attention scores never reach memory, as in a fused kernel.

    **Encoders** (BERT and similar) answer in one pass over the text: nothing is generated, there is no KV
    cache, and a request has one output token, which represents the answer. Their head is a classifier on the
    state of the first token.

    **Sliding windows** bound the work and the reads of attention. The memory of the KV cache nevertheless
    counts every token in every block: the reservation of a server without eviction, and an upper bound for
    one with eviction.

    Not modelled: the FLOP of normalisation, softmax, activation functions and residual additions (less than
    one per cent of a block), repeated reads of data that exceed a processor's cache, and the eviction of
    cached tokens that have left all windows.

    See :class:`~edgesim.model.shape.Shape` for the attributes.
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
            Whether a `quantization_config` determines how weights are stored; else they have the number
            format.

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
        """Read a local model folder (its `config.json`) or a config file, whose name is the default `name`.

        Raises
        ------
        InputError
            If there is no such file, if it is not a JSON object, or if :meth:`from_config` refuses it.
        """
        file = path / "config.json" if path.is_dir() else path
        own_name = absolute(file).parent.name if file.name == "config.json" else file.stem
        return cls.from_config(
            _read_json(file), name=name or own_name, dtype=dtype, reads_quantisation=reads_quantisation
        )

    # --- quantised weights -------------------------------------------------------------------------------

    def quantised(self, bytes_per_weight: float | None) -> Self:
        """Return the same model with every weight stored in `bytes_per_weight`; None: in the number format.

        This changes the stored bytes, and the bytes read by a call of a block or of the head. Activations, KV
        cache and arithmetic keep the number format, as do the few rows that the embedding looks up. A
        `quantization_config` is modelled per matrix instead:
        :class:`~edgesim.model.quantisation.packing.Packed`.

        Not modelled: the work of unpacking; matrices that a format leaves unquantised, such as
        distributed-llama's embedding in float32.

        Raises
        ------
        InputError
            If `bytes_per_weight` is out of range.
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
        """Return this model, or shard, with weights stored as those of `other`."""
        return replace(self, storage=other.storage)

    @property
    def plain(self) -> Self:
        """The same model with weights in the number format and a KV cache, as profiles are measured."""
        return replace(self, storage=None, keeps_cache=True)

    @property
    def bytes_per_weight(self) -> float | None:
        """Mean bytes per stored weight if weights are quantised; None if they have the number format."""
        if isinstance(self.storage, Even):
            return self.storage.bytes_per_weight
        return None if self.storage is None else self.stored_bytes(self.whole) / self.n_parameters

    # --- shards ------------------------------------------------------------------------------------------

    def shard(self, n_shards: int) -> Self:
        """Return one of `n_shards` equal tensor shards, as a model whose blocks are that part of each block.

        A shard has 1/`n_shards` of the heads and of the MLP's width, at the full hidden size; partial results
        are summed over the shards after each half of a block. It has whole groups of query heads with the KV
        head that they share; if there are fewer KV heads than shards, several shards have copies of the same
        one, so that their KV caches together are larger than the whole model's. Normalisations, the embedding
        and the head are not divided.

        Raises
        ------
        InputError
            If the heads or the width are not divisible by `n_shards`.
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
        """Numbers of equal shards into which the model can be divided, up to one head each."""
        return tuple(
            n
            for n in range(1, self.n_heads + 1)
            if not (self.n_heads % n or self.mlp_size % n)
            and (self.n_kv_heads % n == 0 or n % self.n_kv_heads == 0)
        )

    # --- limits ------------------------------------------------------------------------------------------

    def refusal(self, *, n_prompt_tokens: int, n_output_tokens: int, n_tokens: int) -> str | None:
        """Return the reason why the model cannot serve requests up to these lengths; None if it can.

        Parameters
        ----------
        n_prompt_tokens, n_output_tokens
            Longest prompt and longest answer.
        n_tokens
            Largest sum of a prompt and its answer.
        """
        if not self.is_causal and n_output_tokens > 1:
            return (
                f"a request of {n_output_tokens} output tokens is drawn, but {self.name} is an encoder: it "
                "answers in one pass and generates nothing, and the answer counts as 1 output token"
            )
        n_text = (
            n_tokens if self.is_causal else n_prompt_tokens
        )  # an encoder's answer is not part of the text
        if n_text > self.max_context:
            return (
                f"a request of {n_text} tokens is drawn, more than the context of {self.name}, "
                f"{self.max_context}"
            )
        return None

    # --- work --------------------------------------------------------------------------------------------

    def work(self, component: Component, *, batch: int, n_new: int, n_context: int) -> Work:
        """FLOP and bytes moved by one call; see the class for the formulas.

        Parameters
        ----------
        component
            The component called.
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
        """Vectorised :meth:`work`: FLOP and bytes moved by many calls.

        `n_new` and `n_context` are broadcast against each other; both results have their common shape.
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
                cache_bytes = self._kv_bytes * batch * (n_cached + 2 * n)  # new tokens: written, then read
                # Inputs and outputs of the projections h -> q, k, v; of attention q -> q; of q -> h.
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
        """Count (query, key) pairs of one sequence in one block, and cached tokens read."""
        if not self.is_causal:
            return n * (c + n), c
        n_pairs, n_cached = n * c + n * (n + 1) / 2, c
        if self.window is not None:
            share = self.n_windowed / self.n_blocks
            n_within = np.clip(self.window - c, 0, n)  # new tokens whose whole context is within the window
            in_window = n_within * c + n_within * (n_within + 1) / 2 + (n - n_within) * self.window
            n_pairs = (1 - share) * n_pairs + share * in_window
            n_cached = (1 - share) * c + share * np.minimum(c, self.window)
        return n_pairs, n_cached

    @cached_property
    def digest(self) -> str:
        """Digest of shape and number format, independent of the name (SHA-256, hexadecimal)."""
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
                f"no model config at {file} ({error}); give a folder with a Hugging Face config.json, "
                "or the file itself"
            ) from None
        raise InputError(f"{file}: {error}; expected the JSON object of a Hugging Face config.json") from None
    if not isinstance(config, dict):
        raise InputError(f"{file}: a {type(config).__name__}; expected the JSON object of a config.json")
    return config

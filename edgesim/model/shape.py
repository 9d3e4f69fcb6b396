"""Shape of a transformer, and the sizes that follow: parameters, stored weights, KV cache, activations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from edgesim.model.families import FAMILIES, Family
from edgesim.model.parts import Component, Slice
from edgesim.model.quantisation.packing import Even, Matrix, Packed, Storage

__all__ = ["DTYPE_BYTES", "Shape"]

DTYPE_BYTES: Mapping[str, int] = MappingProxyType({"float32": 4, "float16": 2, "bfloat16": 2})


@dataclass(frozen=True)
class Shape:
    """Sizes of one transformer in one number format, or of a tensor shard of its blocks.

    Attributes
    ----------
    norms
        Number of normalisation weights in the embedding, each attention half, each MLP half, and the head.
    qk_norm
        Number of weights of the query and key normalisations, in each attention half.
    n_position_rows, n_type_rows
        Rows of the position and token-type tables; 0 without such a table.
    n_labels
        Number of classes of an encoder's head.
    window, n_windowed
        Length of the sliding window [tokens], and number of blocks with one.
    n_shards
        Number of equal shards, of which the blocks are one; see :meth:`shard`.
    storage
        Storage of quantised weights; None: in the number format. See :meth:`quantised`.
    keeps_cache
        Whether there is a KV cache. If not, every step recomputes the whole text, as a prompt.
    """

    name: str
    family: str
    n_blocks: int
    hidden_size: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    mlp_size: int
    gated_mlp: bool
    vocab_size: int
    max_context: int
    tied_embeddings: bool
    dtype: str
    config: str
    """The Hugging Face config as canonical JSON without its provenance; as text, so that it is hashable."""
    is_causal: bool
    norms: tuple[int, int, int, int]
    qk_norm: int
    qkv_bias: bool
    out_bias: bool
    mlp_bias: bool
    head_bias: bool
    n_position_rows: int
    n_type_rows: int
    n_labels: int
    window: int | None
    n_windowed: int
    n_shards: int = 1
    storage: Storage | None = None
    keeps_cache: bool = True

    @property
    def traits(self) -> Family:
        """Description of the model's family."""
        return FAMILIES[self.family]

    @property
    def whole(self) -> Slice:
        """Slice of the entire model."""
        return Slice(0, self.n_blocks, embedding=True, head=True)

    @property
    def dtype_bytes(self) -> int:
        """Bytes of one number: an activation, a cached key, or an unquantised weight."""
        return DTYPE_BYTES[self.dtype]

    @cached_property
    def n_parameters(self) -> int:
        """Number of parameters of the whole model; a matrix shared by embedding and head counts once."""
        return self._parameters(self.whole)

    def component_parameters(self, component: Component) -> int:
        """Number of parameters that one component reads; a shared matrix counts for embedding and head."""
        h = self.hidden_size
        in_embedding, in_attention, in_mlp, in_head = self.norms
        match component:
            case Component.EMBEDDING:
                return (self.vocab_size + self.n_position_rows + self.n_type_rows) * h + in_embedding
            case Component.ATTENTION:
                queries, keys = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
                biases = (queries + 2 * keys) * self.qkv_bias + h * self.out_bias
                return in_attention + self.qk_norm + 2 * h * (queries + keys) + biases
            case Component.MLP:
                n_in = 2 if self.gated_mlp else 1
                biases = (n_in * self.mlp_size + h) * self.mlp_bias
                return in_mlp + (n_in + 1) * h * self.mlp_size + biases
            case Component.BLOCK:
                return self.component_parameters(Component.ATTENTION) + self.component_parameters(
                    Component.MLP
                )
            case Component.HEAD if self.is_causal:
                return in_head + self.vocab_size * (h + self.head_bias)
            case Component.HEAD:
                return in_head + (h + self.n_labels) * (h + 1)
            case Component.STEP:
                return 0

    def matrices(self, component: Component) -> tuple[Matrix, ...]:
        """Return the matrices of a component's linear maps, with module names and without biases.

        The embedding's tables, which are looked up, and an encoder's classifier are not included.
        """
        h, family = self.hidden_size, self.traits
        match component:
            case Component.ATTENTION:
                queries, keys = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
                widths = (queries, keys, keys) if len(family.attention_in) > 1 else (queries + 2 * keys,)
                into = [Matrix(name, h, n) for name, n in zip(family.attention_in, widths, strict=True)]
                return (*into, Matrix(family.attention_out, queries, h))
            case Component.MLP:
                width = (2 if self.gated_mlp else 1) * self.mlp_size // len(family.mlp_in)
                return (
                    *(Matrix(name, h, width) for name in family.mlp_in),
                    Matrix(family.mlp_out, self.mlp_size, h),
                )
            case Component.BLOCK:
                return self.matrices(Component.ATTENTION) + self.matrices(Component.MLP)
            case Component.HEAD if self.is_causal:
                return (Matrix(family.head, h, self.vocab_size),)
            case _:
                return ()

    def component_bytes(self, component: Component) -> float:
        """Stored bytes of the weights that one component reads."""
        n_parameters = self.component_parameters(component)
        match self.storage:
            case Even(bytes_per_weight):
                return n_parameters * bytes_per_weight
            case Packed() as packed:
                saved_bytes = packed.saved_bytes(self.matrices(component), self.dtype_bytes)
                return n_parameters * self.dtype_bytes - saved_bytes
            case _:
                return n_parameters * self.dtype_bytes

    def weight_bytes(self, part: Slice) -> int:
        """Bytes of the weights that a device stores for a slice, rounded up."""
        return math.ceil(self.stored_bytes(part))

    def stored_bytes(self, part: Slice) -> float:
        """Bytes of the weights of a slice, not rounded to whole bytes."""
        if isinstance(self.storage, Even):  # a single product, to avoid rounding errors of a sum
            return self._parameters(part) * self.storage.bytes_per_weight
        n_bytes = part.n_blocks * self.component_bytes(Component.BLOCK)
        n_bytes += self.component_bytes(Component.EMBEDDING) if part.embedding else 0
        n_bytes += self.component_bytes(Component.HEAD) if part.head else 0
        if part.embedding and part.head and self.tied_embeddings:
            n_bytes -= self.vocab_size * self.hidden_size * self.dtype_bytes
        return n_bytes

    def parts_bytes(self, parts: Iterable[Slice]) -> int:
        """Weight bytes of several slices on one device; a matrix shared by embedding and head counts once."""
        slices = tuple(parts)
        ends = Slice(0, 0, embedding=any(p.embedding for p in slices), head=any(p.head for p in slices))
        return self.weight_bytes(ends) + sum(self.weight_bytes(Slice(p.first, p.last)) for p in slices)

    def kv_bytes_per_token(self, n_blocks: int = 1) -> int:
        """Bytes of one token in the KV cache of `n_blocks` blocks: a key and a value per KV head.

        0 for an encoder, and for a model served without a cache. Blocks with a sliding window count like
        others; see the class.
        """
        return self._kv_bytes * n_blocks if self.is_causal and self.keeps_cache else 0

    def activation_bytes(self, n_tokens: int) -> int:
        """Bytes of the hidden states of `n_tokens` tokens, as sent from one stage to the next."""
        return self.hidden_size * self.dtype_bytes * n_tokens

    @property
    def _kv_bytes(self) -> int:
        """Bytes of a key and a value of one token in one block."""
        return 2 * self.n_kv_heads * self.head_dim * self.dtype_bytes

    def _parameters(self, part: Slice) -> int:
        n = part.n_blocks * self.component_parameters(Component.BLOCK)
        n += self.component_parameters(Component.EMBEDDING) if part.embedding else 0
        n += self.component_parameters(Component.HEAD) if part.head else 0
        if part.embedding and part.head and self.tied_embeddings:
            n -= self.vocab_size * self.hidden_size
        return n

"""What a decoder-only transformer is made of: parameters, FLOP, bytes, KV cache and activations.

Everything here is arithmetic on a Hugging Face `config.json`; no framework is imported and no weight is
ever loaded. Two families are read: Llama (with grouped-query attention) and GPT-2. All their blocks are
alike, so that one block stands for every block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, Self, TypedDict

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError

__all__ = [
    "DTYPE_BYTES",
    "FAMILIES",
    "Architecture",
    "Component",
    "Family",
    "FloatArray",
    "Slice",
    "Tokens",
    "Work",
]

FloatArray = NDArray[np.float64]
Tokens = int | NDArray[np.int64]
"""Counts of tokens: one, or an array of them for which an array is wanted back."""

Family = Literal["llama", "gpt2"]
FAMILIES: tuple[Family, ...] = ("llama", "gpt2")
DTYPE_BYTES: Mapping[str, int] = MappingProxyType({"float32": 4, "float16": 2, "bfloat16": 2})
LOGIT_BYTES = 4  # transformers' generate casts the last logits to float32 before it chooses a token

# Keys of a config.json that say where a checkpoint came from, not how large or fast the model is.
_PROVENANCE_KEYS = frozenset(
    {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version"}
)


class Component(StrEnum):
    """The parts whose times are known one by one.

    `BLOCK` is one transformer layer, `ATTENTION` and `MLP` its two halves, each with its normalisation and
    its residual addition. `EMBEDDING` is all that a forward pass does before its first block, `HEAD` the
    final normalisation and the vocabulary matrix on the last position, `STEP` the work per generated token
    outside the forward pass: preparing inputs, processing logits, choosing the token.
    """

    EMBEDDING = "embedding"
    ATTENTION = "attention"
    MLP = "mlp"
    BLOCK = "block"
    HEAD = "head"
    STEP = "step"


class _Run(NamedTuple):
    first: int
    last: int
    embedding: bool = False
    head: bool = False


class Slice(_Run):
    """A run of neighbouring blocks, ``first <= block < last``, with or without the two ends of the model.

    Attributes
    ----------
    first, last
        The first block held and the first block no longer held; equal where no block is held.
    embedding
        Whether what stands before the first block is held too.
    head
        Whether the final normalisation and the vocabulary matrix are held too.

    A tuple underneath, so that it hashes at C speed: the engine looks up a price by slice at every visit.
    """

    __slots__ = ()

    def __new__(cls, first: int, last: int, embedding: bool = False, head: bool = False) -> Self:
        if not 0 <= first <= last:
            raise ValueError(f"a slice runs from block {first} up to block {last}: 0 <= first <= last")
        return super().__new__(cls, first, last, embedding, head)

    @property
    def n_blocks(self) -> int:
        """How many blocks are held."""
        return self.last - self.first

    def __str__(self) -> str:
        """Name the slice by what it holds, its blocks inclusively: ``embedding+0-4``, ``5-11+head``."""
        blocks = {0: "", 1: f"{self.first}"}.get(self.n_blocks, f"{self.first}-{self.last - 1}")
        held = ("embedding" if self.embedding else "", blocks, "head" if self.head else "")
        return "+".join(filter(None, held)) or "nothing"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name that :meth:`__str__` gave; a slice without blocks is put at block 0."""
        words = text.split("+")
        runs = [[int(end) for end in word.split("-")] for word in words if word[:1].isdigit()]
        first, last = (runs[0][0], runs[0][-1] + 1) if runs else (0, 0)
        return cls(first, last, embedding="embedding" in words, head="head" in words)


@dataclass(frozen=True, slots=True)
class Work:
    """What one call of a component computes and moves: the two sides of a roofline."""

    flop: float
    moved_bytes: float


@dataclass(frozen=True)
class Architecture:
    r"""The shape of one decoder-only transformer in one number format.

    FLOP and bytes per call, for a batch of :math:`b` sequences, each bringing :math:`n` new tokens to
    :math:`c` tokens already in the KV cache (prefill: :math:`n` = prompt, :math:`c = 0`; decode:
    :math:`n = 1`). A multiplication and an addition count as two FLOP; :math:`P` is the number of weights
    in the matrices of a component, :math:`s` the bytes of a number.

    ========= ============================================== =============================================
    component FLOP                                           bytes moved
    ========= ============================================== =============================================
    embedding 0                                              rows gathered and written: ``(1 + r) b n h s``
    attention ``2 b n P + 4 b q (n c + n (n + 1) / 2)``       weights, activations, KV read and written
    mlp       ``2 b n P``                                    weights, activations
    block     attention + mlp                                attention + mlp
    head      ``2 b v h`` (last position only)               weights, activations, logits
    step      0                                              logits read, cast to float32, searched
    ========= ============================================== =============================================

    with :math:`h` the hidden size, :math:`q` = heads x head size, :math:`v` the vocabulary and :math:`r`
    the number of tables looked up (2 in GPT-2, which adds a position table). The bracket of the attention
    row is the number of (query, key) pairs that the causal mask leaves: query :math:`i` of the new tokens
    sees :math:`c + i` keys, and each pair costs a product with the key and one with the value. Every weight
    is read once a call; every matrix product reads its input and writes its output once; the scores of
    attention never reach memory, as in a fused kernel.

    Not modelled: the FLOP of normalisation, softmax, activation functions and residual additions (less than
    one per cent of a block), and the rereading of what does not fit a cache.
    """

    name: str
    family: Family
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
    """The Hugging Face config as canonical JSON text, less its provenance: text, so that it can be hashed."""
    attention_bias: bool = False
    mlp_bias: bool = False

    # --- reading -----------------------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config: Mapping[str, object], *, name: str, dtype: str) -> Self:
        """Read the contents of a Hugging Face `config.json` of the Llama or the GPT-2 family.

        Raises
        ------
        InputError
            If the family or the number format is not supported, or a size is missing or impossible.
        """
        if dtype not in DTYPE_BYTES:
            raise InputError(
                f"model {name}: dtype {dtype!r} is not known; use one of {', '.join(DTYPE_BYTES)}"
            )
        family = config.get("model_type")
        text = json.dumps(
            {key: config[key] for key in sorted(config) if key not in _PROVENANCE_KEYS}, separators=(",", ":")
        )
        if family == "llama":
            return cls(name=name, dtype=dtype, config=text, **_read_llama(_Reader(config, name)))
        if family == "gpt2":
            return cls(name=name, dtype=dtype, config=text, **_read_gpt2(_Reader(config, name)))
        raise InputError(
            f"model {name}: its config says model_type {family!r}; edgesim reads {', '.join(FAMILIES)}. "
            "Choose a model of one of these families."
        )

    @classmethod
    def from_path(cls, path: Path, *, dtype: str) -> Self:
        """Read a local model folder (its `config.json`) or a config file; the folder or file names the model.

        Raises
        ------
        InputError
            If there is no such file, if it is not a JSON object, or for what :meth:`from_config` refuses.
        """
        file = path / "config.json" if path.is_dir() else path
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"no model config at {file} ({error.strerror}); give a folder that holds a Hugging Face "
                "config.json, or the file itself"
            ) from error
        except ValueError as error:
            raise InputError(f"{file} is not JSON text: {error}") from error
        if not isinstance(config, dict):
            raise InputError(
                f"{file} holds a {type(config).__name__}; expected the JSON object of a config.json"
            )
        name = file.resolve().parent.name if file.name == "config.json" else file.stem
        return cls.from_config(config, name=name, dtype=dtype)

    # --- sizes -------------------------------------------------------------------------------------------

    @property
    def whole(self) -> Slice:
        """The slice that is the entire model."""
        return Slice(0, self.n_blocks, embedding=True, head=True)

    @property
    def dtype_bytes(self) -> int:
        """Bytes of one number: a weight, an activation or a cached key."""
        return DTYPE_BYTES[self.dtype]

    @cached_property
    def n_parameters(self) -> int:
        """Parameters of the whole model; a matrix shared by embedding and head counts once."""
        return self._parameters(self.whole)

    def component_parameters(self, component: Component) -> int:
        """Parameters that one component reads; head and embedding both name a matrix that they share."""
        h = self.hidden_size
        norm = h if self.family == "llama" else 2 * h  # RMSNorm scales; LayerNorm scales and shifts
        match component:
            case Component.EMBEDDING:
                positions = self.max_context if self.family == "gpt2" else 0
                return (self.vocab_size + positions) * h
            case Component.ATTENTION:
                queries, keys = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
                biases = queries + 2 * keys + h if self.attention_bias else 0
                return norm + h * (queries + 2 * keys) + queries * h + biases
            case Component.MLP:
                n_up = 2 if self.gated_mlp else 1
                biases = n_up * self.mlp_size + h if self.mlp_bias else 0
                return norm + (n_up + 1) * h * self.mlp_size + biases
            case Component.BLOCK:
                return self.component_parameters(Component.ATTENTION) + self.component_parameters(
                    Component.MLP
                )
            case Component.HEAD:
                return norm + self.vocab_size * h
            case Component.STEP:
                return 0

    def weight_bytes(self, part: Slice) -> int:
        """Bytes of the weights that a device must store to hold a slice."""
        return self._parameters(part) * self.dtype_bytes

    def held_bytes(self, parts: Iterable[Slice]) -> int:
        """Weights of several slices on one device; a matrix that embedding and head share counts once."""
        held = tuple(parts)
        ends = Slice(0, 0, embedding=any(p.embedding for p in held), head=any(p.head for p in held))
        return self.weight_bytes(ends) + sum(self.weight_bytes(Slice(p.first, p.last)) for p in held)

    def kv_bytes_per_token(self, n_blocks: int = 1) -> int:
        """Bytes that one token leaves in the KV cache of so many blocks: a key and a value per KV head."""
        return 2 * self.n_kv_heads * self.head_dim * self.dtype_bytes * n_blocks

    def activation_bytes(self, n_tokens: int) -> int:
        """Bytes of the hidden states of so many tokens: what travels from one stage to the next."""
        return self.hidden_size * self.dtype_bytes * n_tokens

    def _parameters(self, part: Slice) -> int:
        n = part.n_blocks * self.component_parameters(Component.BLOCK)
        n += self.component_parameters(Component.EMBEDDING) if part.embedding else 0
        n += self.component_parameters(Component.HEAD) if part.head else 0
        if part.embedding and part.head and self.tied_embeddings:
            n -= self.vocab_size * self.hidden_size
        return n

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
        weight_bytes = self.component_parameters(component) * s
        nothing = np.zeros_like(n)
        match component:
            case Component.EMBEDDING:
                n_tables = 2 if self.family == "gpt2" else 1
                return nothing, (1 + n_tables) * n_tokens * h * s
            case Component.ATTENTION:
                queries, keys = self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim
                n_pairs = batch * (n * c + n * (n + 1) / 2)
                flop = 2 * n_tokens * h * (2 * queries + 2 * keys) + 4 * queries * n_pairs
                cache_bytes = (
                    self.kv_bytes_per_token() * batch * (c + 2 * n)
                )  # all is read, the new is written
                # In and out of: the projections h -> q, k, v; attention q -> q; the projection q -> h.
                activation_bytes = n_tokens * (2 * h + 4 * queries + 2 * keys) * s
                return flop, weight_bytes + cache_bytes + activation_bytes
            case Component.MLP:
                n_up = 2 if self.gated_mlp else 1
                flop = 2 * n_tokens * (n_up + 1) * h * self.mlp_size
                return flop, weight_bytes + n_tokens * (2 * h + (n_up + 1) * self.mlp_size) * s
            case Component.BLOCK:
                halves = [
                    self.work_arrays(half, batch=batch, n_new=n_new, n_context=n_context)
                    for half in (Component.ATTENTION, Component.MLP)
                ]
                return halves[0][0] + halves[1][0], halves[0][1] + halves[1][1]
            case Component.HEAD:
                activation_bytes = (2 * n_tokens * h + batch * (h + self.vocab_size)) * s
                return nothing + 2 * batch * h * self.vocab_size, weight_bytes + activation_bytes
            case Component.STEP:
                return nothing, nothing + batch * self.vocab_size * (s + 2 * LOGIT_BYTES)

    @cached_property
    def digest(self) -> str:
        """Identify the shape and the number format, whatever the model is called (SHA-256, hexadecimal)."""
        return hashlib.sha256(f"{self.config}\n{self.dtype}".encode()).hexdigest()


class _Reader:
    """The sizes in a config, read with messages that name the model and the key."""

    __slots__ = ("_config", "_name")

    def __init__(self, config: Mapping[str, object], name: str) -> None:
        self._config, self._name = config, name

    def size(self, *keys: str, default: int | None = None) -> int:
        """Read a positive integer under the first of these keys that is present and not null."""
        for key in keys:
            value = self._config.get(key)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(
                    f"model {self._name}: {key} is {value!r} in its config; expected a whole number >= 1"
                )
            return value
        if default is None:
            raise self.refuse(f"its config has no {keys[0]}; every Hugging Face config.json states it")
        return default

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._config.get(key, default)
        if not isinstance(value, bool):
            raise self.refuse(f"{key} is {value!r} in its config; expected true or false")
        return value

    def refuse(self, message: str) -> InputError:
        return InputError(f"model {self._name}: {message}")


class _Shape(TypedDict):
    """The fields of an architecture that its config decides."""

    family: Family
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
    attention_bias: bool
    mlp_bias: bool


def _read_llama(config: _Reader) -> _Shape:
    """Defaults as in transformers' LlamaConfig, for the keys that published configs leave out."""
    hidden_size, n_heads = config.size("hidden_size"), config.size("num_attention_heads")
    n_kv_heads = config.size("num_key_value_heads", default=n_heads)
    if hidden_size % n_heads or n_heads % n_kv_heads:
        raise config.refuse(
            f"num_attention_heads {n_heads} must divide hidden_size {hidden_size}, and num_key_value_heads "
            f"{n_kv_heads} must divide num_attention_heads"
        )
    return _Shape(
        family="llama",
        n_blocks=config.size("num_hidden_layers"),
        hidden_size=hidden_size,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=config.size("head_dim", default=hidden_size // n_heads),
        mlp_size=config.size("intermediate_size"),
        gated_mlp=True,
        vocab_size=config.size("vocab_size"),
        max_context=config.size("max_position_embeddings"),
        tied_embeddings=config.flag("tie_word_embeddings", default=False),
        attention_bias=config.flag("attention_bias", default=False),
        mlp_bias=config.flag("mlp_bias", default=False),
    )


def _read_gpt2(config: _Reader) -> _Shape:
    """Read GPT-2's own key names, and the general ones that transformers takes for the same."""
    hidden_size, n_heads = config.size("n_embd", "hidden_size"), config.size("n_head", "num_attention_heads")
    if hidden_size % n_heads:
        raise config.refuse(f"n_embd {hidden_size} is not a multiple of n_head {n_heads}")
    if config.flag("add_cross_attention", default=False):
        raise config.refuse("add_cross_attention is true; edgesim reads decoder-only models")
    return _Shape(
        family="gpt2",
        n_blocks=config.size("n_layer", "num_hidden_layers"),
        hidden_size=hidden_size,
        n_heads=n_heads,
        n_kv_heads=n_heads,
        head_dim=hidden_size // n_heads,
        mlp_size=config.size("n_inner", default=4 * hidden_size),
        gated_mlp=False,
        vocab_size=config.size("vocab_size"),
        max_context=config.size("n_positions", "max_position_embeddings"),
        tied_embeddings=config.flag("tie_word_embeddings", default=True),
        attention_bias=True,
        mlp_bias=True,
    )

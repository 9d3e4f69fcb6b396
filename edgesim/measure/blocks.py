"""Time the components of real transformers modules in an excerpt of a model.

An excerpt is the model that transformers builds from its config, with random weights, its full embedding
and head, but only as many blocks as needed. It runs by transformers' own forward pass and its own `generate`;
hooks record the instant at which each component begins. The components of a pass are therefore contiguous:
no time is left out or counted twice, and each component finds the caches as its predecessor in a real pass
leaves them.

The excerpt of a shard (:meth:`edgesim.model.architecture.Architecture.shard`) is the same with that share of
every block; only the times of its blocks are used.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from math import ceil
from typing import Any

import torch
from transformers import DynamicCache

from edgesim.measure.clock import Clock, clock_for
from edgesim.measure.grid import PassShape
from edgesim.measure.modules import build
from edgesim.measure.places import MODULE_PATHS
from edgesim.measure.rotated_blocks import Rotation
from edgesim.model.architecture import Architecture
from edgesim.model.parts import Component, Slice

__all__ = ["CACHE_FACTOR", "Excerpt", "n_copies"]

CACHE_FACTOR = 4
"""Size of an excerpt's blocks, in multiples of the last-level cache; at most the whole model."""

_N_STEPS = 5  # tokens of one timed generation: one from the prefill, the others decoded
_AFTER_HEAD = Component.STEP

Times = dict[Component, float]


class _Streamer:
    """Records when `generate` hands out the prompt and each token."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.received: list[Any] = []

    def put(self, _: torch.Tensor) -> None:
        self.received.append(self._clock.mark())

    def end(self) -> None:
        pass


def n_copies(architecture: Architecture, cache_bytes: int) -> int:
    """Return how many blocks an excerpt needs so that its weights lie where the whole model's would.

    A model larger than the last-level cache streams all its weights from memory for every token. A single
    block called repeatedly would stay in the cache and appear several times faster. An excerpt therefore
    contains different blocks with separate weights, :data:`CACHE_FACTOR` times the cache in total: by the
    time the first is called again, the others have evicted it. A smaller model is taken whole, and stays in
    the cache as far as it does in real use.

    Where only some blocks have a sliding window, there are enough blocks for both kinds to occur about as
    often as in the model.
    """
    block_bytes = architecture.weight_bytes(Slice(0, 1))
    n_needed = ceil(CACHE_FACTOR * cache_bytes / block_bytes)
    n_rarer = min(architecture.n_windowed, architecture.n_blocks - architecture.n_windowed)
    if n_rarer:
        n_needed = max(n_needed, round(architecture.n_blocks / n_rarer))
    return min(architecture.n_blocks, n_needed)


class Excerpt:
    """A model with few blocks, whose passes are timed by component.

    Parameters
    ----------
    architecture
        The model; its dtype is that of the weights.
    n_blocks
        How many blocks to build.
    device
        ``cpu`` or ``cuda``.

    Attributes
    ----------
    has_like_blocks
        Whether all blocks attend alike: all with a sliding window, or none.
    halves_s
        Duration of each attention and MLP half of the last pass [s], block by block.
    """

    def __init__(self, architecture: Architecture, *, n_blocks: int, device: str = "cpu") -> None:
        self.n_blocks = n_blocks
        self._generator = torch.Generator(device).manual_seed(0)
        self._architecture = architecture
        self._model = build(architecture, n_blocks=n_blocks, device=device)
        self._vocab_size = int(self._model.get_input_embeddings().num_embeddings)
        self._device = device
        self._clock: Clock = clock_for(device)
        self.has_like_blocks = architecture.n_windowed in (0, architecture.n_blocks)
        self._rotation = Rotation(
            self._model, MODULE_PATHS[architecture.family].blocks, is_divisible=self.has_like_blocks
        )
        self._marks: list[tuple[Component, Any]] = []
        self.halves_s: dict[Component, list[float]] = {}
        self._caches: dict[tuple[int, int], DynamicCache] = {}
        self._attach_marks()

    # --- timed operations --------------------------------------------------------------------------------

    def n_called(self, n_wanted: int) -> int:
        """Return how many blocks a pass calls for a request of `n_wanted`; all where windows differ."""
        return self._rotation.possible(n_wanted)

    def time_pass(self, shape: PassShape, n_wanted: int | None = None) -> Times:
        """Run one forward pass as `generate` runs it, and return the seconds of its components.

        The times of a block and its halves are means over the called blocks.

        Parameters
        ----------
        shape
            The shape of the pass.
        n_wanted
            How many blocks to call, the next in rotation (:mod:`edgesim.measure.rotated_blocks`); None: all.
        """
        inputs = self._inputs(shape)
        cache = inputs.get("past_key_values") if shape.n_context else None
        kept = [dict(vars(layer)) for layer in cache.layers] if cache else []
        self._marks.clear()
        with self._rotation.next_few(n_wanted or self.n_blocks) as n_called:
            self._model(**inputs)
        end = self._clock.mark()
        # The pass extended the cache by new tensors. Restoring the old ones is exact and, unlike `crop`,
        # leaves no strided view that the next pass would have to copy from.
        for layer, before in zip(cache.layers if cache else (), kept, strict=True):
            vars(layer).update(before)
        times = self._between_marks(end, n_called)
        times.pop(_AFTER_HEAD)  # the return from the model, which time_steps counts
        return times

    def time_steps(self, shape: PassShape, n_wanted: int | None = None) -> tuple[float, float | None]:
        """Generate a few tokens after a prompt; return the time outside the model of the first and of others.

        The time *outside* the model is that between the head of one pass and the embedding of the next, in
        which logits are cast and processed, the token is chosen, the stopping criterion is tested and the
        next inputs are prepared. For the first token it is what `generate` does before its first pass, and
        then until a streamer receives the token (on a GPU, where a streamer would make the host wait: until
        the next pass).

        An encoder generates nothing: one pass is called, the label is chosen, and None is returned for
        further tokens.

        Parameters
        ----------
        shape
            The prompt.
        n_wanted
            How many blocks the untimed passes in between call. None, and always on a GPU: all, since how far
            the host has run ahead of the GPU during the pass affects the time.
        """
        if n_wanted is None or self._device != "cpu":
            n_wanted = self.n_blocks
        with self._rotation.first_few(n_wanted):
            if not self._architecture.is_causal:
                return self._time_answer(shape), None
            ids = self._token_ids(shape)
            streamer = _Streamer(self._clock) if self._device == "cpu" else None
            self._marks.clear()
            start = self._clock.mark()
            self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                min_new_tokens=_N_STEPS,
                max_new_tokens=_N_STEPS,
                pad_token_id=0,
                streamer=streamer,
            )
        before, after_prefill, *after_decode = self._gaps(start, self._clock.mark())
        if streamer is not None:
            head_ended = next(at for component, at in self._marks if component is _AFTER_HEAD)
            after_prefill = self._clock.seconds(head_ended, streamer.received[1])  # the first is the prompt
        return before + after_prefill, sum(after_decode) / len(after_decode)

    # --- internals ---------------------------------------------------------------------------------------

    def _time_answer(self, shape: PassShape) -> float:
        """Return the seconds before an encoder's embedding, and from its head to the chosen label."""
        inputs = self._inputs(shape)
        self._marks.clear()
        start = self._clock.mark()
        self._model(**inputs).logits.argmax(-1).tolist()
        return sum(self._gaps(start, self._clock.mark()))

    def _gaps(self, start: Any, end: Any) -> list[float]:
        """Return the seconds before the first pass, between passes, and after the last."""
        self._clock.settle()
        marks = [(_AFTER_HEAD, start), *self._marks, (_AFTER_HEAD, end)]
        return [
            self._clock.seconds(began, ended)
            for (component, began), (_, ended) in pairwise(marks)
            if component is _AFTER_HEAD
        ]

    def _attach_marks(self) -> None:
        """Make every component record when it begins; after the head, the generation step begins."""

        def begin(component: Component) -> Any:
            def note(*_: object) -> None:
                self._marks.append((component, self._clock.mark()))

            return note

        places = MODULE_PATHS[self._architecture.family]
        self._model.get_submodule(places.embedding).register_forward_pre_hook(begin(Component.EMBEDDING))
        for block in self._model.get_submodule(places.blocks).children():
            block.register_forward_pre_hook(begin(Component.ATTENTION))
            block.get_submodule(places.second_half).register_forward_pre_hook(begin(Component.MLP))
        self._model.get_submodule(places.head).register_forward_pre_hook(begin(Component.HEAD))
        self._model.get_submodule(places.end).register_forward_hook(begin(_AFTER_HEAD))

    def _between_marks(self, end: Any, n_called: int) -> Times:
        """Return each component's seconds, summed over its calls; means for a block and its halves."""
        self._clock.settle()
        marks = [*self._marks, (_AFTER_HEAD, end)]
        total: defaultdict[Component, float] = defaultdict(float)
        for (component, began), (_, ended) in pairwise(marks):
            total[component] += self._clock.seconds(began, ended)
        for half in (Component.ATTENTION, Component.MLP):
            self.halves_s[half] = [
                self._clock.seconds(began, ended)
                for (component, began), (_, ended) in pairwise(marks)
                if component is half
            ]
            total[half] /= n_called
        total[Component.BLOCK] = total[Component.ATTENTION] + total[Component.MLP]
        return dict(total)

    def _inputs(self, shape: PassShape) -> dict[str, Any]:
        """Prepare the inputs that `generate` passes to the model: without a mask, since nothing is padded.

        An encoder receives what its tokenizer returns.
        """
        ids = self._token_ids(shape)
        if not self._architecture.is_causal:
            return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "return_dict": True}
        positions = torch.arange(shape.n_context, shape.n_context + shape.n_new, device=self._device)
        return {
            "input_ids": ids,
            "position_ids": positions.expand(shape.batch, -1).contiguous(),
            "past_key_values": self._cache(shape.batch, shape.n_context),
            "use_cache": True,
            "logits_to_keep": 1,
            "return_dict": True,
        }

    def _token_ids(self, shape: PassShape) -> torch.Tensor:
        size = (shape.batch, shape.n_new)
        return torch.randint(self._vocab_size, size, generator=self._generator, device=self._device)

    def _cache(self, batch: int, n_context: int) -> DynamicCache:
        """Return a KV cache of `n_context` tokens, made once: filling a new one would warm the CPU caches."""
        if n_context == 0:
            return DynamicCache(config=self._model.config)
        if (batch, n_context) not in self._caches:
            cache = DynamicCache(config=self._model.config)
            a = self._architecture
            size = (2, batch, a.n_kv_heads, n_context, a.head_dim)
            for index in range(self.n_blocks):
                filling = torch.randn(size, generator=self._generator, device=self._device)
                cache.update(*filling.to(self._model.dtype), index)
            self._caches[batch, n_context] = cache
        return self._caches[batch, n_context]

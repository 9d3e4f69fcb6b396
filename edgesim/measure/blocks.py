"""Real transformers modules to be timed: an excerpt of a model, marked where its components meet.

An excerpt is the model as transformers builds it from its config, with random weights, its real embedding
and its real head, but only as many blocks as are needed. It is run by transformers' own forward pass and
its own `generate`; hooks note the instant whenever a component begins. The components of one pass thereby
touch one another: nothing of the pass is left out and nothing is counted twice, and each component meets
the caches as its predecessor in a real pass leaves them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from math import ceil
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from edgesim.measure.clock import Clock, clock_for
from edgesim.measure.grid import Shape
from edgesim.model.architecture import Architecture, Component, Slice

__all__ = ["CACHE_FACTOR", "Excerpt", "n_copies"]

CACHE_FACTOR = 4
"""An excerpt's blocks are this many times larger than the last-level cache, or the whole model's."""

_N_STEPS = 5  # tokens of one timed generation: the first is the prefill's, the others are decoded
_AFTER_HEAD = Component.STEP

# Where each family keeps what begins a component: token table, blocks, norm of the MLP half, final norm.
_PLACES: Mapping[str, tuple[str, str, str, str]] = {
    "llama": ("model.embed_tokens", "model.layers", "post_attention_layernorm", "model.norm"),
    "gpt2": ("transformer.wte", "transformer.h", "ln_2", "transformer.ln_f"),
}

Times = dict[Component, float]


def n_copies(architecture: Architecture, cache_bytes: int) -> int:
    """Decide how many blocks an excerpt needs for its weights to lie where the whole model's lie.

    A model that is larger than the last-level cache streams all its weights from memory for every token.
    One block repeated over and over would stay in the cache and look several times faster than it is. So
    the excerpt holds different blocks, each with weights of its own, of :data:`CACHE_FACTOR` times the cache
    in all: by the time the first is called again, the others have driven it out. A model of fewer bytes is
    taken whole, and keeps in the cache what it keeps in real use.
    """
    block_bytes = architecture.weight_bytes(Slice(0, 1))
    return min(architecture.n_blocks, ceil(CACHE_FACTOR * cache_bytes / block_bytes))


class Excerpt:
    """A model with few blocks, whose passes tell the time of each component.

    Parameters
    ----------
    architecture
        The model; its dtype is the weights'.
    n_blocks
        How many blocks to build.
    device
        ``cpu`` or ``cuda``.
    """

    def __init__(self, architecture: Architecture, *, n_blocks: int, device: str = "cpu") -> None:
        config = CONFIG_MAPPING[architecture.family].from_dict(json.loads(architecture.config))
        config.num_hidden_layers = n_blocks
        # Weights born in inference mode are kept from oneDNN's bfloat16 product (a head 30 times slower in
        # torch 2.13), which no user's are; and the caller's random numbers are left alone.
        with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
            model = AutoModelForCausalLM.from_config(
                config, dtype=getattr(torch, architecture.dtype), attn_implementation="sdpa"
            )
        self.n_blocks = n_blocks
        self._generator = torch.Generator(device).manual_seed(0)
        self._architecture = architecture
        self._model = model.to(device).eval()
        self._device = device
        self._clock: Clock = clock_for(device)
        self._marks: list[tuple[Component, Any]] = []
        self._caches: dict[tuple[int, int], DynamicCache] = {}
        self._attach_marks()

    # --- the two things that can be timed ----------------------------------------------------------------

    def time_pass(self, shape: Shape) -> Times:
        """Run one forward pass as `generate` runs it, and return the seconds of its components.

        Those of a block and its halves are means over the excerpt's blocks.
        """
        inputs = self._inputs(shape)
        cache = inputs["past_key_values"]
        kept = [(layer.keys, layer.values) for layer in cache.layers] if shape.n_context else []
        self._marks.clear()
        self._model(**inputs)
        end = self._clock.mark()
        # The cache was extended by new tensors; putting the old ones back is exact, and unlike `crop` it
        # leaves no strided view behind that the next pass would have to copy from.
        for layer, (keys, values) in zip(cache.layers, kept, strict=False):
            layer.keys, layer.values = keys, values
        times = self._between_marks(end)
        times.pop(_AFTER_HEAD)  # the way back out of the model; time_steps counts it
        return times

    def pass_s(self, times: Times) -> float:
        """Seconds of a whole pass of this excerpt, of the components of one."""
        return times[Component.EMBEDDING] + self.n_blocks * times[Component.BLOCK] + times[Component.HEAD]

    def time_steps(self, shape: Shape) -> tuple[float, float]:
        """Generate a few tokens behind a prompt; return what the first and each further one cost outside.

        *Outside* the model, that is: between the head of one pass and the embedding of the next, where the
        logits are cast and processed, the token is chosen, stopping is tested and the next inputs are
        prepared. For the first token it includes what `generate` does before its first pass.
        """
        ids = self._token_ids(shape)
        self._marks.clear()
        start = self._clock.mark()
        self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=_N_STEPS,
            max_new_tokens=_N_STEPS,
            pad_token_id=0,
        )
        end = self._clock.mark()
        self._clock.settle()
        marks = [(_AFTER_HEAD, start), *self._marks, (_AFTER_HEAD, end)]
        gaps = [
            self._clock.seconds(began, ended)
            for (component, began), (_, ended) in pairwise(marks)
            if component is _AFTER_HEAD
        ]
        before, after_prefill, *after_decode = gaps
        return before + after_prefill, sum(after_decode) / len(after_decode)

    # --- how ---------------------------------------------------------------------------------------------

    def _attach_marks(self) -> None:
        """Have every component note when it begins; after the head, the generation step begins."""

        def begin(component: Component) -> Any:
            def note(*_: object) -> None:
                self._marks.append((component, self._clock.mark()))

            return note

        table, blocks, second_norm, final_norm = _PLACES[self._architecture.family]
        self._model.get_submodule(table).register_forward_pre_hook(begin(Component.EMBEDDING))
        for block in self._model.get_submodule(blocks).children():
            block.register_forward_pre_hook(begin(Component.ATTENTION))
            block.get_submodule(second_norm).register_forward_pre_hook(begin(Component.MLP))
        self._model.get_submodule(final_norm).register_forward_pre_hook(begin(Component.HEAD))
        self._model.get_submodule("lm_head").register_forward_hook(begin(_AFTER_HEAD))

    def _between_marks(self, end: Any) -> Times:
        """Sum the seconds from each mark to the next, by component."""
        self._clock.settle()
        marks = [*self._marks, (_AFTER_HEAD, end)]
        total: defaultdict[Component, float] = defaultdict(float)
        for (component, began), (_, ended) in pairwise(marks):
            total[component] += self._clock.seconds(began, ended)
        for half in (Component.ATTENTION, Component.MLP):
            total[half] /= self.n_blocks
        total[Component.BLOCK] = total[Component.ATTENTION] + total[Component.MLP]
        return dict(total)

    def _inputs(self, shape: Shape) -> dict[str, Any]:
        """Prepare what `generate` passes to the model for such a pass: no mask, since nothing is padded."""
        positions = torch.arange(shape.n_context, shape.n_context + shape.n_new, device=self._device)
        return {
            "input_ids": self._token_ids(shape),
            "position_ids": positions.expand(shape.batch, -1).contiguous(),
            "past_key_values": self._cache(shape.batch, shape.n_context),
            "use_cache": True,
            "logits_to_keep": 1,
            "return_dict": True,
        }

    def _token_ids(self, shape: Shape) -> torch.Tensor:
        size = (shape.batch, shape.n_new)
        vocab_size = self._architecture.vocab_size
        return torch.randint(vocab_size, size, generator=self._generator, device=self._device)

    def _cache(self, batch: int, n_context: int) -> DynamicCache:
        """Return a KV cache of so many tokens, the same each time: filling it warms the processor's."""
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

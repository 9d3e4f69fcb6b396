"""The price of a pass: seconds that a part of the model takes on a device."""

from __future__ import annotations

import numpy as np

from edgesim.engine.token import Token
from edgesim.errors import ProfileError
from edgesim.model.architecture import Slice
from edgesim.model.profile import Timing

__all__ = ["Price"]


class Price:
    """Seconds per pass of one part of the model on one device; decode steps are tabulated."""

    __slots__ = ("_passes", "_timing", "code", "decode_s", "name", "part")

    def __init__(self, timing: Timing, part: Slice, code: int = 0, name: str = "") -> None:
        self._timing = timing
        self.part = part
        self.name = name or str(part)  # the name in spans
        self.code = code  # identifies it in spans
        self._passes: dict[tuple[int, int, int], float] = {}
        self.decode_s: list[float] = []  # by tokens in the cache; extended as contexts grow

    def of(self, token: Token) -> float:
        """Seconds of this token's pass."""
        if token.n_new == 1:
            try:
                return self.decode_s[token.n_context]
            except IndexError:
                self._grow(token.n_context)
                return self.decode_s[token.n_context]
        return self._seconds(1, token.n_new, token.n_context)

    def alone(self, n_new: int, n_context: int) -> float:
        """Seconds of a pass that has the device to itself."""
        return self._seconds(1, n_new, n_context)

    def decode_batch(self, n_requests: int, n_context: int) -> float:
        """Seconds of a decode step of several requests together, at one context."""
        return self._seconds(n_requests, 1, n_context)

    def rider(self, max_batch: int, n_context: int) -> float:
        """Seconds that one more decode step adds to a pass that reads the weights for other work anyway.

        Computed as the time that one more request adds to a large batch: the slope of the measured batch axis
        over its upper half, up to `max_batch`. The lower half would overestimate it, because the first few
        requests of a batch still change the kind of the matrix products (one vector, then a few).

        Not modelled: in a decode batch arithmetic overlaps with reading the weights, but not with a long
        chunk; the more arithmetic throughput a device has, the smaller the difference.
        """
        half = max_batch // 2
        more_s = self.decode_batch(max_batch, n_context) - self.decode_batch(half, n_context)
        return max(0.0, more_s / (max_batch - half))

    def prefill_batch(self, n_requests: int, n_new: int) -> float:
        """Seconds of the prefill of several prompts together, padded to one length."""
        return self._seconds(n_requests, n_new, 0)

    def chunk(self, n_before: int, n_tokens: int) -> float:
        """Seconds of the next tokens of a prompt, of which `n_before` have been processed.

        The time of the prompt up to these tokens, less that of its earlier part: profiles measure prefills
        from an empty cache, and such differences sum to the whole. No chunk is faster than it would be at the
        start of a prompt, because a short pass still reads the weights; so chunks may sum to more than the
        whole.
        """
        whole_s = self._seconds(1, n_before + n_tokens, 0)
        before_s = self._seconds(1, n_before, 0) if n_before else 0.0
        return max(whole_s - before_s, self._seconds(1, n_tokens, 0))

    def _seconds(self, batch: int, n_new: int, n_context: int) -> float:
        asked = (batch, n_new, n_context)
        seconds = self._passes.get(asked)
        if seconds is None:
            try:
                seconds = float(
                    self._timing.seconds(self.part, batch=batch, n_new=n_new, n_context=n_context)
                )
            except ProfileError:
                if batch > 1 or n_new == 1 or n_context == 0:
                    raise
                seconds = self._behind(n_new, n_context)
            self._passes[asked] = seconds
        return seconds

    def _behind(self, n_new: int, n_context: int) -> float:
        """Seconds of several new tokens after a context, where only passes from an empty cache were measured.

        The time of that many tokens from an empty cache, plus the time that the context adds to a decode
        step, since the cache is read once for all of them; or, if greater, their time as a chunk of a prompt,
        where prompts of that length were measured.
        """
        at_context_s, at_none_s = self._seconds(1, 1, n_context), self._seconds(1, 1, 1)
        behind_s = max(at_context_s, self._seconds(1, n_new, 0) + max(0.0, at_context_s - at_none_s))
        try:
            return max(behind_s, self.chunk(n_context, n_new))
        except ProfileError:
            return behind_s

    def _grow(self, n_context: int) -> None:
        """Tabulate decode steps up to this context in strides, so that one vectorised look-up serves many."""
        stride = 256
        contexts = np.arange(len(self.decode_s), (n_context // stride + 1) * stride)
        # Beyond the measured range a timing raises ProfileError; the last stride therefore ends at the
        # context.
        try:
            seconds = self._timing.seconds(self.part, batch=1, n_new=1, n_context=contexts)
        except ProfileError:
            contexts = np.arange(len(self.decode_s), n_context + 1)
            seconds = self._timing.seconds(self.part, batch=1, n_new=1, n_context=contexts)
        self.decode_s.extend(np.broadcast_to(seconds, contexts.shape).tolist())

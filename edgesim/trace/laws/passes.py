"""Laws of compute passes: a request passes through the whole model before its token is delivered."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgesim.trace.laws.law import Law, RunContext
from edgesim.trace.laws.parts import FILL, SHARD, part_of
from edgesim.trace.laws.rows import BoolArray, FloatArray, IntArray, Rows
from edgesim.trace.schema import LinkKind, Outcome, SpanKind

__all__ = ["PASS_LAWS", "Passes"]

_OF = ("spans.kind", "spans.request_id")
MADE = Law(
    "spans.ended_at_s",
    "for a delivery, no earlier than the head computed its token or one after it",
    ("spans.token", "spans.via", *_OF),
)
WHOLE = Law(
    "requests.n_prompt_tokens",
    "a prompt all of which went through the whole model, as its request completed",
    ("requests.mean_exit_block", "spans.token", "spans.n_tokens", "spans.via", *_OF),
)
ALL = Law(
    "requests.n_output_tokens",
    "tokens all of which but the last went through the whole model, as their request completed",
    ("requests.mean_exit_block", "spans.n_tokens", "spans.via", *_OF),
)
HANDLED = Law(
    "spans.size_bytes",
    "for an endpoint span, within the range of the sizes that were sent",
    ("spans.link_kind", *_OF),
)

LOADED = Law("devices.peak_memory_bytes", "more than 0 where it has computed", ("spans.device", "spans.kind"))

PASS_LAWS = (MADE, WHOLE, ALL, HANDLED, LOADED)

_MOST_TOKENS = 1 << 31


class Passes:
    """Check of the passes of one run, whose spans are added in parts.

    Passes through the head are stored until their token is delivered.
    """

    def __init__(self, there: RunContext) -> None:
        self._there = there
        n = len(there.requests)
        # Tokens that exit early skip blocks, and the number of blocks that they needed is not recorded.
        self._is_whole = there.requests.is_null("mean_exit_block")
        self._heads: tuple[IntArray, FloatArray] = (np.zeros(0, dtype=np.int64), np.zeros(0))
        self._embedded, self._blocks = np.zeros((2, n)), np.zeros((2, n))  # [prompt or all, n_requests]
        self._computes = np.zeros(len(there.devices), dtype=bool)
        self._is_sent, self._is_on_air = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self._sent_bytes, self._handled_bytes = _extremes(n), _extremes(n)

    def add(self, spans: Rows) -> Iterator[str]:
        """Add a part of the spans, and yield a violation if a token is delivered before it was computed."""
        request = self._there.request_of(spans)
        is_owned = (request >= 0) & ~spans.is_null("ended_at_s")
        has_head = self._add_parts(spans, request, is_owned & spans.named("kind", SpanKind.COMPUTE))
        yield from self._add_emits(spans, request, has_head, is_owned & spans.named("kind", SpanKind.EMIT))
        device = self._there.device_of(spans)
        self._computes[device[(device >= 0) & spans.named("kind", SpanKind.COMPUTE)]] = True
        is_hop = (request >= 0) & spans.named("kind", SpanKind.SEND)
        self._is_sent[request[is_hop]] = True
        self._is_on_air[request[is_hop & spans.named("link_kind", LinkKind.RADIO)]] = True
        _stretch(self._sent_bytes, request[is_hop], spans.ints("size_bytes")[is_hop])
        is_end = is_owned & spans.named("kind", SpanKind.ENDPOINT)
        _stretch(self._handled_bytes, request[is_end], spans.ints("size_bytes")[is_end])

    def close(self) -> Iterator[str]:
        """Check every completed request against its passes, and yield the violations."""
        requests, devices = self._there.requests, self._there.devices
        is_empty = devices.ints("peak_memory_bytes") == 0
        yield from LOADED.broken(devices, self._computes & is_empty)
        is_over = requests.named("outcome", Outcome.COMPLETED) & self._is_whole
        n_prompt, n_output = requests.ints("n_prompt_tokens"), requests.ints("n_output_tokens")
        for law, needed, embedded, blocks in zip(
            (WHOLE, ALL), (n_prompt, n_prompt + n_output - 1), self._embedded, self._blocks, strict=True
        ):
            lacks = embedded < needed
            if self._there.n_blocks is not None:
                lacks |= blocks < needed * self._there.n_blocks
            yield from law.broken(requests, is_over & lacks)
        if self._there.loses_nothing:
            # On the air, the rest of a message may be sent from another cell.
            is_exact = requests.named("outcome", Outcome.COMPLETED) & self._is_sent & ~self._is_on_air
            (least, most), (least_sent, most_sent) = self._handled_bytes, self._sent_bytes
            (odd,) = np.nonzero(is_exact & ((least < least_sent) | (most > most_sent)))
            for row in odd[:1].tolist():
                more = f"; {len(odd) - 1} more requests likewise" if len(odd) > 1 else ""
                yield HANDLED.sentence(
                    f"request {requests.value('request_id', row)}",
                    f"{least[row]:g} to {most[row]:g}",
                    f"{HANDLED.says} ({least_sent[row]:g} to {most_sent[row]:g}){more}",
                )

    def _add_parts(self, spans: Rows, request: IntArray, is_pass: BoolArray) -> BoolArray:
        """Count the tokens through embedding and blocks by request; return which passes include the head."""
        places, names = spans.names("via")
        parts = [None if name.startswith((SHARD, FILL)) else part_of(name, None) for name in map(str, names)]
        embeds, n_blocks, has_head = (
            np.array([*(0 if part is None else read(part) for part in parts), 0])[places]
            for read in (lambda p: int(p.embedding), lambda p: p.n_blocks, lambda p: int(p.head))
        )
        n_tokens, is_prompt = spans.ints("n_tokens"), spans.ints("token") == 0
        for row, counts in enumerate((is_pass & is_prompt, is_pass)):
            np.add.at(self._embedded[row], request[counts], (n_tokens * embeds)[counts])
            np.add.at(self._blocks[row], request[counts], (n_tokens * n_blocks)[counts])
        found: BoolArray = is_pass & (has_head > 0)
        return found

    def _add_emits(
        self, spans: Rows, request: IntArray, has_head: BoolArray, is_emit: BoolArray
    ) -> Iterator[str]:
        key, at_s = request * _MOST_TOKENS + spans.ints("token"), spans.floats("ended_at_s")
        keys, ends = (
            np.concatenate([old, new[has_head]]) for old, new in zip(self._heads, (key, at_s), strict=True)
        )
        order = np.lexsort((ends, keys))
        keys, ends = keys[order], ends[order]
        is_first = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
        keys, ends = keys[is_first], ends[is_first]
        (emits,) = np.nonzero(is_emit & np.append(self._is_whole, [False, False])[request])
        is_wrong: BoolArray = np.zeros(len(spans), dtype=bool)
        for row in emits[~_is_met(keys, ends, key[emits], at_s[emits])].tolist():
            # One pass may produce several tokens, and is then recorded for the last of them.
            of_later = slice(np.searchsorted(keys, key[row]), np.searchsorted(keys, _last(key[row])))
            is_wrong[row] = not (ends[of_later] <= at_s[row]).any()
        yield from MADE.broken(spans, is_wrong)
        waits = ~np.isin(keys, key[is_emit])
        self._heads = keys[waits], ends[waits]


def _is_met(keys: IntArray, ends: FloatArray, key: IntArray, at_s: FloatArray) -> BoolArray:
    """Return whether each key is among the sorted `keys`, with an end no later than its instant."""
    if not len(keys):
        return np.zeros(len(key), dtype=bool)
    place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    found: BoolArray = (keys[place] == key) & (ends[place] <= at_s)
    return found


def _last(key: int) -> int:
    """Return a key above all keys of the same request."""
    return (key // _MOST_TOKENS + 1) * _MOST_TOKENS


def _extremes(n: int) -> tuple[FloatArray, FloatArray]:
    """Return arrays of minima and maxima without any values yet."""
    return np.full(n, np.inf), np.full(n, -np.inf)


def _stretch(extremes: tuple[FloatArray, FloatArray], place: IntArray, values: IntArray) -> None:
    np.minimum.at(extremes[0], place, values)
    np.maximum.at(extremes[1], place, values)

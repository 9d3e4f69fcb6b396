"""Laws of sums over all spans of a run: tokens, energy and busy time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgesim.trace.laws.interval_union import Unions
from edgesim.trace.laws.law import RELATIVE, Law, RunContext, is_close, rounding_s
from edgesim.trace.laws.of_spans import parts_s
from edgesim.trace.laws.parts import FILL, part_of
from edgesim.trace.laws.rows import BoolArray, FloatArray, IntArray, Rows
from edgesim.trace.schema import HOPS, LinkKind, Outcome, SpanKind

__all__ = ["BOOK_LAWS", "Books"]

_EMITS = ("spans.kind", "spans.request_id")
IN_ORDER = Law("spans.token", "each token delivered once, after those before it", _EMITS)
DELIVERED = Law("requests.n_emitted_tokens", "as many as emit spans", ("spans.token", *_EMITS))
FIRST = Law("requests.first_token_at_s", "the instant of its first emit span", ("spans.ended_at_s", *_EMITS))
LAST = Law("requests.ended_at_s", "the instant of its last emit span", ("spans.ended_at_s", *_EMITS))
REQUESTS_J = Law("requests.energy_j", "the energy of its spans", ("spans.energy_j", "spans.request_id"))
COMPUTED_J = Law(
    "devices.energy_compute_j",
    "the energy of its compute and endpoint spans",
    ("spans.energy_j", "spans.device"),
)
SENT_J = Law(
    "devices.energy_tx_j",
    "no more than the energy of its transmissions, with its acknowledgements on the air",
    ("spans.energy_j", "spans.device"),
)
TAKEN_J = Law(
    "devices.energy_rx_j",
    "no more than the energy of its receptions, with acknowledgements on the air",
    ("spans.energy_j", "spans.peer"),
)
CARRIED_J = Law(
    "devices.energy_tx_j",
    "with energy_rx_j, summed over all devices, the energy of all messages and sums",
    ("devices.energy_rx_j", "spans.energy_j"),
)
BUSY = Law(
    "devices.busy_s",
    "the time of its spans",
    (
        "spans.started_at_s",
        "spans.ended_at_s",
        "spans.device",
        "devices.messages_on_compute",
        "devices.serving",
    ),
)
ERRS = Law("requests.error_variance", "a number where its sums had errors", ("spans.error_variance",))
DEPTH = Law("requests.mean_exit_block", "no more than the last block it went through", ("spans.via",))

BOOK_LAWS = (
    IN_ORDER,
    DELIVERED,
    FIRST,
    LAST,
    REQUESTS_J,
    COMPUTED_J,
    SENT_J,
    TAKEN_J,
    CARRIED_J,
    BUSY,
    ERRS,
    DEPTH,
)


class Books:
    """Check of one run's requests and devices against sums over its spans, which are added in parts."""

    def __init__(self, there: RunContext) -> None:
        self._there = there
        n, n_devices = len(there.requests), len(there.devices)
        self._n_emits = np.zeros(n, dtype=np.int64)
        self._last_token = np.full(n, -1, dtype=np.int64)
        self._first_at_s, self._last_at_s = np.full(n, np.inf), np.full(n, -np.inf)
        self._owned_j, self._depth, self._errs = np.zeros(n), np.zeros(n), np.zeros(n, dtype=bool)
        self._computed_j, self._sent_j, self._taken_j = (np.zeros(n_devices) for _ in range(3))
        self._n_computed = np.zeros(n_devices)
        self._carried_j, self._n_carried = 0.0, 0
        self._busy_s, self._unsure_s = np.zeros(n_devices), np.zeros(n_devices)
        self._unions = Unions()

    def add(self, spans: Rows) -> Iterator[str]:
        """Add a part of the spans, and yield a violation if tokens are delivered out of order."""
        there = self._there
        request, device = there.request_of(spans), there.device_of(spans)
        energy_j = spans.floats("energy_j")
        _add(self._owned_j, request, energy_j)
        on_processor = spans.named("kind", SpanKind.COMPUTE, SpanKind.ENDPOINT)
        _add(self._computed_j, device, energy_j, on_processor)
        _add(self._n_computed, device, np.ones(len(energy_j)), on_processor)
        self._carried_j += float(energy_j[~on_processor].sum())
        self._n_carried += int((~on_processor).sum())
        _add(self._sent_j, device, energy_j, ~on_processor)
        is_hop, peer = spans.named("kind", *HOPS), there.device_of(spans, "peer")
        _add(self._taken_j, peer, energy_j, is_hop)
        # On the air, the receiver may send acknowledgements to the sender.
        is_answered = is_hop & spans.named("link_kind", LinkKind.RADIO)
        _add(self._sent_j, peer, energy_j, is_answered)
        _add(self._taken_j, device, energy_j, is_answered)
        _add(self._taken_j, device, energy_j, spans.named("kind", SpanKind.ALL_REDUCE))
        self._add_busy(spans, device)
        self._errs[request[~spans.is_null("error_variance") & (request >= 0)]] = True
        self._add_depth(spans, request)
        yield from self._add_emits(spans, request)

    def close(self) -> Iterator[str]:
        """Check the requests and devices tables against the sums, and yield the violations."""
        requests, devices = self._there.requests, self._there.devices
        emitted = requests.ints("n_emitted_tokens")
        yield from DELIVERED.broken(requests, self._n_emits != emitted, self._n_emits)
        skips = self._last_token + 1 != self._n_emits
        yield from DELIVERED.broken(requests, skips & (self._n_emits == emitted), self._last_token + 1)
        has_any = self._n_emits > 0
        first_at_s = requests.floats("first_token_at_s")
        yield from FIRST.broken(requests, has_any & (self._first_at_s != first_at_s), self._first_at_s)
        is_over = has_any & requests.named("outcome", Outcome.COMPLETED)
        ended_at_s = requests.floats("ended_at_s")
        yield from LAST.broken(requests, is_over & (self._last_at_s != ended_at_s), self._last_at_s)
        owned_j = requests.floats("energy_j")
        has_j = ~requests.is_null("energy_j")
        yield from REQUESTS_J.broken(requests, has_j & ~is_close(owned_j, self._owned_j), self._owned_j)
        # A retried request discards the errors of its lost attempt.
        may_lack = ~requests.is_null("error_variance") | self._there.retries
        yield from ERRS.broken(requests, self._errs & ~may_lack)
        exits = requests.floats("mean_exit_block")
        yield from DEPTH.broken(requests, exits > self._depth * (1.0 + RELATIVE), self._depth)
        yield from self._close_devices(devices)

    def _close_devices(self, devices: Rows) -> Iterator[str]:
        computed_j = devices.floats("energy_compute_j")
        off_s = rounding_s(self._n_computed, self._there.duration_s)
        is_sound = is_close(computed_j, self._computed_j, off_s * devices.floats("active_w"))
        yield from COMPUTED_J.broken(devices, ~is_sound, self._computed_j)
        carried_j = [devices.floats(column) for column in ("energy_tx_j", "energy_rx_j")]
        # The tables lack the power of radios; for rounding errors, the largest power of a device is enough.
        most_w = float((devices.floats("active_w") + devices.floats("idle_w")).max(initial=0.0))
        off_j = most_w * float(rounding_s(self._n_carried, self._there.duration_s))
        for law, found_j, most_j in zip(
            (SENT_J, TAKEN_J), carried_j, (self._sent_j, self._taken_j), strict=True
        ):
            yield from law.broken(devices, (found_j > most_j) & ~is_close(found_j, most_j, off_j), most_j)
        total_j = float(sum(each.sum() for each in carried_j))
        if not is_close(total_j, self._carried_j, off_j):
            yield CARRIED_J.sentence("all rows", f"{total_j} J", f"{CARRIED_J.says} ({self._carried_j} J)")
        for device, busy_s in self._unions.lengths_s():
            self._busy_s[device] += busy_s
        least_s, most_s = self._busy_s, self._busy_s + self._unsure_s
        found_s, slack_s = devices.floats("busy_s"), RELATIVE * (1.0 + self._there.duration_s)
        is_off = (found_s < least_s - slack_s) | (found_s > most_s + slack_s)
        yield from BUSY.broken(devices, is_off, least_s)

    def _add_busy(self, spans: Rows, device: IntArray) -> None:
        there = self._there
        fifo = np.append(there.is_fifo, [False, False])[device]
        on_compute = np.append(there.devices.is_true("messages_on_compute"), [False, False])[device]
        is_pass, is_end = (spans.named("kind", one) for one in (SpanKind.COMPUTE, SpanKind.ENDPOINT))
        started_at_s = spans.floats("started_at_s")
        ended_at_s = np.where(spans.is_null("ended_at_s"), there.duration_s, spans.floats("ended_at_s"))
        length_s = np.maximum(0.0, ended_at_s - started_at_s)  # NaN for spans that have not started
        not_s = parts_s(spans)
        is_begun = ~spans.is_null("started_at_s")
        is_cut = is_pass & np.isnan(not_s)
        _add(self._busy_s, device, length_s, is_begun & is_end & on_compute)
        _add(self._busy_s, device, length_s - not_s, is_begun & is_pass & fifo & ~is_cut)
        # Unknown are the computing time of a group's pass that the end of the run cuts and, if messages are
        # handled on the compute station, the time that the sums of a pass occupy it.
        _add(self._unsure_s, device, length_s, is_begun & is_cut)
        _add(self._unsure_s, device, not_s, is_begun & is_pass & on_compute & ~is_cut & (not_s > 0.0))
        shared = is_begun & is_pass & ~fifo & (device >= 0)
        self._unions.add(device[shared], started_at_s[shared], ended_at_s[shared])

    def _add_depth(self, spans: Rows, request: IntArray) -> None:
        places, names = spans.names("via")
        computes = spans.named("kind", SpanKind.COMPUTE) & (request >= 0)
        occurs = set(np.unique(places[computes]).tolist())
        parts = [part_of(name, None) if place in occurs else None for place, name in enumerate(names)]
        last = [
            0.0 if part is None or name.startswith(FILL) else float(part.last)
            for part, name in zip(parts, names, strict=True)
        ]
        np.maximum.at(self._depth, request[computes], np.array([*last, 0.0])[places[computes]])

    def _add_emits(self, spans: Rows, request: IntArray) -> Iterator[str]:
        is_emit = spans.named("kind", SpanKind.EMIT) & (request >= 0) & ~spans.is_null("ended_at_s")
        (rows,) = np.nonzero(is_emit)
        if not len(rows):
            return
        rows = rows[np.lexsort((spans.ints("token")[rows], request[rows]))]
        own, token, at_s = request[rows], spans.ints("token")[rows], spans.floats("ended_at_s")[rows]
        is_first = np.append(True, own[1:] != own[:-1])
        before = np.where(is_first, self._last_token[own], np.append(-1, token[:-1]))
        before_s = np.where(is_first, self._last_at_s[own], np.append(-np.inf, at_s[:-1]))
        is_wrong: BoolArray = np.zeros(len(spans), dtype=bool)
        is_wrong[rows[(token <= before) | (at_s < before_s)]] = True
        yield from IN_ORDER.broken(spans, is_wrong)
        np.add.at(self._n_emits, own, 1)
        np.maximum.at(self._last_token, own, token)
        np.minimum.at(self._first_at_s, own, at_s)
        np.maximum.at(self._last_at_s, own, at_s)


def _add(sums: FloatArray, place: IntArray, values: FloatArray, which: BoolArray | None = None) -> None:
    """Add values to the sums at their places, ignoring negative places."""
    counts = place >= 0 if which is None else which & (place >= 0)
    if counts.any():
        sums += np.bincount(place[counts], weights=values[counts], minlength=len(sums))

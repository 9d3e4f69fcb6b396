"""Laws of single spans: request, device, link and instants, and the values that each kind of span has."""

from __future__ import annotations

from functools import partial

import numpy as np

from edgesim.trace.laws.law import RELATIVE, RowLaw, RunContext
from edgesim.trace.laws.parts import part_of
from edgesim.trace.laws.rows import ABSENT, UNKNOWN, BoolArray, FloatArray, Rows
from edgesim.trace.schema import HOPS, LinkKind, Outcome, SpanKind
from edgesim.units import bits

__all__ = ["PARTS", "SPAN_LAWS", "parts_s"]

PARTS = ("straggler_s", "air_s", "wire_s", "handling_s")
"""Columns with the times in a group's pass during which a member does not compute."""

_HALF_BYTE = 0.5

_ON_LINKS = (*HOPS, SpanKind.ALL_REDUCE)
_MESSAGES = (*HOPS, SpanKind.ENDPOINT)


def parts_s(spans: Rows) -> FloatArray:
    """Return the time of each span during which its device did not compute [s]."""
    found: FloatArray | None = spans.kept("parts")
    if found is None:
        found = spans.keep("parts", sum(spans.floats(part) for part in PARTS))
    return found


def _beyond(column: str, spans: Rows, there: RunContext) -> BoolArray:
    return spans.floats(column) > there.duration_s * (1.0 + RELATIVE)


def _wrong_token(spans: Rows, there: RunContext) -> BoolArray:
    is_owned = spans.ints("token") >= there.of_request(spans, "n_output_tokens")
    found: BoolArray = is_owned | (spans.is_null("token") != spans.is_null("request_id"))
    return found


def _owns_control(spans: Rows, there: RunContext) -> BoolArray:
    del there
    found: BoolArray = spans.named("kind", SpanKind.CONTROL) & ~spans.is_null("request_id")
    return found


def _wrong_peer(spans: Rows, there: RunContext) -> BoolArray:
    peer, is_hop = there.device_of(spans, "peer"), spans.named("kind", *HOPS)
    found: BoolArray = np.where(is_hop, (peer < 0) | (peer == there.device_of(spans)), peer != ABSENT)
    return found


def _wrong_via(spans: Rows, there: RunContext) -> BoolArray:
    places, names = spans.names("via")
    is_part = np.array([*(part_of(one, there.n_blocks) is not None for one in names), False])[places]
    is_link = ~spans.is_null("via")
    if there.links:
        is_link = spans.named("via", *there.links)
    is_hop, is_pass = spans.named("kind", *HOPS), spans.named("kind", SpanKind.COMPUTE)
    expected = np.where(is_hop, is_link, np.where(is_pass, is_part, places == ABSENT))
    return ~expected | _other_ends(spans, is_hop)


def _other_ends(spans: Rows, is_hop: BoolArray) -> BoolArray:
    """Return where a hop's link is named after other devices than the hop's two."""
    (device, devices), (peer, peers), (via, vias) = (
        spans.names(column) for column in ("device", "peer", "via")
    )
    devices, peers, vias = [*devices, ""], [*peers, ""], [*vias, ""]  # the last stands for null
    device, peer, via = (
        np.where(places < 0, len(names) - 1, places)
        for places, names in ((device, devices), (peer, peers), (via, vias))
    )
    hops, where = np.unique((device * len(peers) + peer) * len(vias) + via, return_inverse=True)
    is_other = [
        vias[hop % len(vias)]
        != "--".join(sorted((devices[hop // len(vias) // len(peers)], peers[hop // len(vias) % len(peers)])))
        for hop in hops.tolist()
    ]
    found: BoolArray = is_hop & np.array(is_other, dtype=bool)[where]
    return found


def _wrong_link_kind(spans: Rows, there: RunContext) -> BoolArray:
    is_on_link = spans.named("kind", *_ON_LINKS)
    wrong = spans.is_null("link_kind") == is_on_link
    by_kind = {
        kind: [via for via, facts in there.links.items() if facts.get("kind") == kind] for kind in LinkKind
    }
    known = [via for of in by_kind.values() for via in of]
    if known:
        agrees = np.zeros(len(spans), dtype=bool)
        for kind, of in by_kind.items():
            agrees |= spans.named("link_kind", kind) & spans.named("via", *of)
        wrong |= spans.named("via", *known) & spans.named("kind", *HOPS) & ~agrees
    return wrong  # type: ignore[no-any-return]


def _outlives(column: str, spans: Rows, there: RunContext) -> BoolArray:
    """Return where a span of a completed request continues after the request's end, or has not begun."""
    completed = np.append(there.requests.named("outcome", Outcome.COMPLETED), [False, False])
    is_of_completed = completed[there.request_of(spans)]
    ended_at_s = there.of_request(spans, "ended_at_s")
    is_late = spans.floats(column) > ended_at_s * (1.0 + RELATIVE)
    # A strategy may send messages after the last delivery; these belong to the last token.
    is_last = spans.ints("token") == there.of_request(spans, "n_output_tokens") - 1.0
    is_after = spans.named("kind", *_MESSAGES) & is_last & (spans.floats("asked_at_s") >= ended_at_s)
    # If work is lost and retried, the lost attempt's bookings and messages elsewhere continue.
    is_booked = spans.named("kind", SpanKind.COMPUTE, *_MESSAGES) & there.retries
    is_late |= spans.is_null(column)
    found: BoolArray = is_of_completed & is_late & ~is_after & ~is_booked
    return found


def _is_asked_after_the_end(spans: Rows, there: RunContext) -> BoolArray:
    found: BoolArray = spans.floats("asked_at_s") > there.of_request(spans, "ended_at_s")
    # A message continues hop by hop even if its request has failed meanwhile.
    found &= ~spans.named("kind", *_MESSAGES)
    if not there.loses_nothing:
        # A pass for which a device is reserved follows the pass that was queued when the source failed.
        has_died = there.requests.named("outcome", Outcome.FAILED)
        if there.may_fail is not None:
            has_died = has_died & there.requests.named("source", *there.may_fail)
        is_kept = np.append(has_died, [False, False])[there.request_of(spans)]
        found &= ~(spans.named("kind", SpanKind.COMPUTE) & is_kept)
    return found


def _wrong_n_tokens(spans: Rows, there: RunContext) -> BoolArray:
    del there
    n_tokens = spans.ints("n_tokens")
    is_pass, is_emit = (spans.named("kind", one) for one in (SpanKind.COMPUTE, SpanKind.EMIT))
    return np.where(is_pass, n_tokens < 1, n_tokens != is_emit)


def _too_many_tokens(spans: Rows, there: RunContext) -> BoolArray:
    most = there.of_request(spans, "n_prompt_tokens") + there.of_request(spans, "n_output_tokens")
    return spans.ints("n_tokens") > most


def _carries_bytes(spans: Rows, there: RunContext) -> BoolArray:
    del there
    found: BoolArray = spans.named("kind", SpanKind.COMPUTE, SpanKind.EMIT) & (spans.ints("size_bytes") != 0)
    return found


def _carried_s(spans: Rows, there: RunContext) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return each hop's transmission time, the time expected from its size, and the tolerance [s].

    NaN for other spans, and for hops on links other than wires of a constant rate.
    """
    (senders, devices), (links, vias) = spans.names("device"), spans.names("via")
    ways, places = np.unique((links + 1) * (len(devices) + 1) + senders + 1, return_inverse=True)
    devices, vias = ["", *devices], ["", *vias]  # the first stands for null
    facts = [there.way(vias[way // len(devices)], devices[way % len(devices)]) for way in ways.tolist()]
    wires = [
        (one["rate_bps"], one["latency_s"])
        if one.get("kind") == LinkKind.WIRED and isinstance(one.get("rate_bps"), int | float)
        else (np.nan, 0.0)
        for one in facts
    ]
    rate_bps, latency_s = np.array(wires, dtype=np.float64).reshape(-1, 2).T[:, places]
    rate_bps = np.where(spans.named("kind", *HOPS), rate_bps, np.nan)
    busy_s = spans.floats("ended_at_s") - latency_s - spans.floats("started_at_s")
    slack_s = RELATIVE * there.duration_s + bits(_HALF_BYTE) / rate_bps  # sizes are rounded to whole bytes
    return busy_s, bits(1.0) * spans.ints("size_bytes") / rate_bps, slack_s


def _carries_too_little(spans: Rows, there: RunContext) -> BoolArray:
    busy_s, needed_s, slack_s = _carried_s(spans, there)
    found: BoolArray = busy_s > needed_s + slack_s
    return found


def _carries_too_much(spans: Rows, there: RunContext) -> BoolArray:
    if not there.loses_nothing:  # a message lost halfway takes less time
        return np.zeros(len(spans), dtype=bool)
    busy_s, needed_s, slack_s = _carried_s(spans, there)
    found: BoolArray = busy_s < needed_s - slack_s
    return found


def _draws_idly(spans: Rows, there: RunContext) -> BoolArray:
    del there
    is_idle = spans.named("kind", SpanKind.WAIT, SpanKind.EMIT) | spans.is_null("started_at_s")
    found: BoolArray = is_idle & (spans.floats("energy_j") != 0.0)
    return found


def _draws_too_much(spans: Rows, there: RunContext) -> BoolArray:
    until_s = np.where(spans.is_null("ended_at_s"), there.duration_s, spans.floats("ended_at_s"))
    most_j = there.of_device_of(spans, "active_w") * (until_s - spans.floats("started_at_s"))
    on_processor = spans.named("kind", SpanKind.COMPUTE, SpanKind.ENDPOINT)
    slack_j = RELATIVE * (1.0 + there.of_device_of(spans, "active_w") * there.duration_s)
    return on_processor & (spans.floats("energy_j") > most_j + slack_j)


def _has_part(part: str, spans: Rows, there: RunContext) -> BoolArray:
    """Return where a span other than a pass has a non-zero or null part, or a finished pass a null part."""
    del there
    is_pass, is_null = spans.named("kind", SpanKind.COMPUTE), spans.is_null(part)
    return np.where(is_pass, is_null & ~spans.is_null("ended_at_s"), is_null | (spans.floats(part) != 0.0))


def _exceeds(spans: Rows, there: RunContext) -> BoolArray:
    length_s = spans.floats("ended_at_s") - spans.floats("started_at_s")
    return parts_s(spans) > length_s + RELATIVE * there.duration_s


def _sums_apart(spans: Rows, there: RunContext) -> BoolArray:
    del there
    return (spans.floats("air_s") > 0.0) & (spans.floats("wire_s") > 0.0)


def _errs(spans: Rows, there: RunContext) -> BoolArray:
    del there
    is_on_air = spans.named("kind", SpanKind.ALL_REDUCE) & spans.named("link_kind", LinkKind.RADIO)
    return ~spans.is_null("error_variance") & ~is_on_air


def _repeats(spans: Rows, there: RunContext) -> BoolArray:
    del there
    is_on_air = spans.named("kind", *HOPS) & spans.named("link_kind", LinkKind.RADIO)
    return (spans.ints("attempts") > 1) & ~is_on_air


def _takes_time(column: str, spans: Rows, there: RunContext) -> BoolArray:
    """Return where a delivery takes time, or a wait starts later than it was requested."""
    del there
    kinds = (SpanKind.EMIT, SpanKind.WAIT) if column == "started_at_s" else (SpanKind.EMIT,)
    found: BoolArray = spans.named("kind", *kinds) & (spans.floats(column) != spans.floats("asked_at_s"))
    return found


def _delivered_elsewhere(spans: Rows, there: RunContext) -> BoolArray:
    source = np.append(there.device_of(there.requests, "source"), [UNKNOWN, UNKNOWN])
    is_emit = spans.named("kind", SpanKind.EMIT)
    found: BoolArray = is_emit & (source[there.request_of(spans)] != there.device_of(spans))
    return found


_ENDED, _KIND = ("spans.ended_at_s",), ("spans.kind",)

SPAN_LAWS: tuple[RowLaw, ...] = (
    RowLaw(
        "spans.request_id",
        "a request of the requests table, or null",
        ("requests.request_id",),
        breaks=lambda spans, there: there.request_of(spans) == UNKNOWN,
    ),
    RowLaw("spans.request_id", "null for control traffic", ("spans.kind",), breaks=_owns_control),
    RowLaw(
        "spans.token",
        "an index below its request's n_output_tokens; null if, and only if, request_id is",
        ("spans.request_id", "requests.n_output_tokens"),
        breaks=_wrong_token,
    ),
    RowLaw(
        "spans.device",
        "a device of the devices table",
        ("devices.device",),
        breaks=lambda spans, there: there.device_of(spans) == UNKNOWN,
    ),
    RowLaw("spans.device", "its request's source", ("requests.source", *_KIND), breaks=_delivered_elsewhere),
    RowLaw(
        "spans.peer",
        "another device of the devices table for a send or a control, else null",
        ("devices.device", *_KIND),
        breaks=_wrong_peer,
    ),
    RowLaw(
        "spans.via",
        "the link of its two devices for a send or a control, a part of the model for a compute, else null",
        ("spans.device", "spans.peer", *_KIND),
        breaks=_wrong_via,
    ),
    RowLaw(
        "spans.link_kind",
        "that of its link in run.json for a send or a control, a kind for an all_reduce, else null",
        ("spans.via", *_KIND),
        breaks=_wrong_link_kind,
    ),
    RowLaw(
        "spans.asked_at_s",
        "no earlier than its request arrived",
        ("requests.arrived_at_s",),
        breaks=lambda spans, there: spans.floats("asked_at_s") < there.of_request(spans, "arrived_at_s"),
    ),
    RowLaw(
        "spans.asked_at_s",
        "no later than its request ended",
        ("requests.ended_at_s", "requests.outcome", "requests.source"),
        breaks=_is_asked_after_the_end,
    ),
    *(
        RowLaw(
            f"spans.{column}",
            "an instant within the run",
            ("devices.duration_s",),
            breaks=partial(_beyond, column),
        )
        for column in ("asked_at_s", "started_at_s", "ended_at_s")
    ),
    RowLaw(
        "spans.started_at_s",
        "no earlier than asked_at_s",
        ("spans.asked_at_s",),
        breaks=lambda spans, there: spans.floats("started_at_s") < spans.floats("asked_at_s"),
    ),
    RowLaw(
        "spans.started_at_s",
        "an instant where ended_at_s is one",
        _ENDED,
        breaks=lambda spans, there: spans.is_null("started_at_s") & ~spans.is_null("ended_at_s"),
    ),
    RowLaw(
        "spans.started_at_s",
        "asked_at_s",
        ("spans.asked_at_s", *_KIND),
        breaks=partial(_takes_time, "started_at_s"),
    ),
    RowLaw(
        "spans.ended_at_s",
        "no earlier than started_at_s",
        ("spans.started_at_s",),
        breaks=lambda spans, there: spans.floats("ended_at_s") < spans.floats("started_at_s"),
    ),
    RowLaw(
        "spans.ended_at_s",
        "the instant of asked_at_s",
        ("spans.asked_at_s", *_KIND),
        breaks=partial(_takes_time, "ended_at_s"),
    ),
    *(
        RowLaw(
            f"spans.{column}",
            "no later than its completed request ended, except for messages after the last delivery",
            ("requests.ended_at_s", "requests.outcome", "spans.asked_at_s", "spans.token", *_KIND),
            breaks=partial(_outlives, column),
        )
        for column in ("started_at_s", "ended_at_s")
    ),
    RowLaw(
        "spans.n_tokens",
        "at least 1 for a compute, 1 for an emit, else 0",
        _KIND,
        breaks=_wrong_n_tokens,
    ),
    RowLaw(
        "spans.n_tokens",
        "no more than its request has",
        ("requests.n_prompt_tokens", "requests.n_output_tokens"),
        breaks=_too_many_tokens,
    ),
    RowLaw("spans.size_bytes", "0 for a compute or an emit", _KIND, breaks=_carries_bytes),
    RowLaw(
        "spans.size_bytes",
        "no fewer than its wire carries while the message lasts",
        ("spans.started_at_s", "spans.ended_at_s", "spans.via", *_KIND),
        breaks=_carries_too_little,
    ),
    RowLaw(
        "spans.size_bytes",
        "no more than its wire carries while the message lasts, as run.json says that nothing may fail",
        ("spans.started_at_s", "spans.ended_at_s", "spans.via", *_KIND),
        breaks=_carries_too_much,
    ),
    RowLaw(
        "spans.energy_j",
        "0 for a wait, an emit, or a span that has not started",
        ("spans.started_at_s", *_KIND),
        breaks=_draws_idly,
    ),
    RowLaw(
        "spans.energy_j",
        "no more than active_w of its device times its length",
        ("devices.active_w", "spans.started_at_s", "spans.ended_at_s"),
        breaks=_draws_too_much,
    ),
    *(
        RowLaw(
            f"spans.{part}",
            "0 except for a group's pass; null only if the end of the run cuts the pass",
            ("spans.kind", "spans.ended_at_s"),
            breaks=partial(_has_part, part),
        )
        for part in PARTS
    ),
    RowLaw(
        "spans.straggler_s",
        "with the other parts, no more than the span's length",
        ("spans.air_s", "spans.wire_s", "spans.handling_s", "spans.started_at_s", "spans.ended_at_s"),
        breaks=_exceeds,
    ),
    RowLaw("spans.air_s", "0 where wire_s is not 0", ("spans.wire_s",), breaks=_sums_apart),
    RowLaw(
        "spans.error_variance", "null except for sums on the air", ("spans.link_kind", *_KIND), breaks=_errs
    ),
    RowLaw(
        "spans.attempts", "1 except for messages on the air", ("spans.link_kind", *_KIND), breaks=_repeats
    ),
)

"""The trace's columns, once: the writer, the reader, the laws and the docs page are all made from this."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import pyarrow as pa

__all__ = [
    "ALL_TABLES",
    "FIFO",
    "HOPS",
    "OPTIONAL_TABLES",
    "PROCESSOR_SHARING",
    "SCHEMA_VERSION",
    "TABLES",
    "Column",
    "CounterName",
    "LinkKind",
    "Origin",
    "Outcome",
    "SpanKind",
    "arrow_schema",
]

SCHEMA_VERSION = 3


class SpanKind(StrEnum):
    """What a span of time was spent on."""

    COMPUTE = "compute"
    ENDPOINT = "endpoint"
    SEND = "send"
    CONTROL = "control"
    ALL_REDUCE = "all_reduce"
    WAIT = "wait"
    EMIT = "emit"


HOPS = (SpanKind.SEND, SpanKind.CONTROL)
"""Kinds of spans that are one hop of a message."""


FIFO = "fifo"
"""The serving discipline that serves one pass at a time, in order of arrival: in a trace of any device."""

PROCESSOR_SHARING = "processor-sharing"
"""The serving discipline under which passes share a device's time."""


class LinkKind(StrEnum):
    """Over what a hop or a sum went, in the scenario's words; a recording may be of either of the others."""

    WIRED = "wired"
    RADIO = "radio"
    RECORDED = "recorded"


class Origin(StrEnum):
    """Where a device's compute times come from."""

    MEASURED = "measured"
    SCALED = "scaled"
    ANALYTIC = "analytic"


class CounterName(StrEnum):
    """What is counted over time, where a run was asked to."""

    KV_BYTES = "kv_bytes"
    RESIDENT_BYTES = "resident_bytes"
    BATTERY_J = "battery_j"
    SNR_DB = "snr_db"


class Outcome(StrEnum):
    """How a request ended; ``censored`` means that it was still in flight when the run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CENSORED = "censored"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    nullable
        Whether a row may have no value there.
    at_least, at_most
        Bounds of its numbers.
    among
        All names that there are; None where names come from the scenario.
    """

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False
    at_least: float = 0.0
    at_most: float = math.inf
    among: type[StrEnum] | None = None


_NAME = pa.dictionary(pa.int32(), pa.string())

TABLES: Mapping[str, tuple[Column, ...]] = MappingProxyType(
    {
        "requests": (
            Column(
                "request_id",
                pa.int64(),
                "Number, from 0: the same request under every strategy. In order of arrival; where users "
                "wait for answers, by user (or session) and turn.",
            ),
            Column(
                "source", _NAME, "Device at which the request arises and to which its tokens are delivered."
            ),
            Column("sample", pa.int64(), "Number of the evaluation sample that stands for its text."),
            Column("arrived_at_s", pa.float64(), "Instant of arrival."),
            Column(
                "first_token_at_s",
                pa.float64(),
                "Delivery of the first token at the source; null if never.",
                True,
            ),
            Column(
                "ended_at_s",
                pa.float64(),
                "Delivery of the last token, or the failure; null if censored.",
                True,
            ),
            Column("n_prompt_tokens", pa.int32(), "Length of the prompt.", at_least=1),
            Column("n_output_tokens", pa.int32(), "Tokens asked for.", at_least=1),
            Column("n_emitted_tokens", pa.int32(), "Tokens delivered."),
            Column(
                "outcome",
                _NAME,
                "completed, failed, or censored (in flight when the run ended).",
                among=Outcome,
            ),
            Column("reason", _NAME, "Why it failed, or that a censored one was stuck; else null.", True),
            Column(
                "energy_j",
                pa.float64(),
                "Active energy of all its spans, up to the end of the run; null where spans were not kept.",
                True,
            ),
            Column(
                "error_variance",
                pa.float64(),
                "Mean normalised error of its analog all-reduces; null if none. Over requests, take medians.",
                True,
            ),
            Column(
                "mean_exit_block",
                pa.float64(),
                "Mean number of blocks its tokens passed; null if all passed all.",
                True,
                at_least=1,
            ),
            Column(
                "correct",
                pa.float64(),
                "Share of its tokens that were right, each as its exit answered it, less what noise and "
                "losses have spoilt; null where answers are not measured.",
                True,
                at_most=1,
            ),
            Column(
                "nll",
                pa.float64(),
                "Mean negative log likelihood of its tokens [nats], likewise; exp of its mean over tokens is "
                "the perplexity. Null where answers are not measured.",
                True,
            ),
            Column(
                "beyond_measured",
                pa.bool_(),
                "Whether it met more than the highest measured level of an impairment, whose harm then "
                "counts; null where answers are not measured.",
                True,
            ),
        ),
        "spans": (
            Column(
                "request_id",
                pa.int64(),
                "The request; null for control traffic (its hops and its endpoint spans) and for transport "
                "acknowledgements.",
                True,
            ),
            Column(
                "token",
                pa.int32(),
                "Index of the output token worked for; 0 is the prefill. Null for control traffic.",
                True,
            ),
            Column(
                "kind",
                _NAME,
                "compute; endpoint (a message's cost at either end); send (one hop); control (one hop of a "
                "message between the strategy's own processes, of no request); all_reduce (the sums of a "
                "group's pass, at each member, while the pass goes on); wait (for memory); emit (of no "
                "length: a token's delivery).",
                among=SpanKind,
            ),
            Column("device", _NAME, "Where: the computing device, or the sender."),
            Column("peer", _NAME, "The receiver of a hop; else null.", True),
            Column(
                "via",
                _NAME,
                "The link of a hop; for compute, the part of the model, or `keys and values of` one, where "
                "only these were made; else null.",
                True,
            ),
            Column(
                "link_kind",
                _NAME,
                "Over what a hop or a sum went: wired, radio or recorded; else null.",
                True,
                among=LinkKind,
            ),
            Column("asked_at_s", pa.float64(), "When the work was asked for; queueing is started - asked."),
            Column(
                "started_at_s", pa.float64(), "When it was begun; null if after the end of the run.", True
            ),
            Column(
                "ended_at_s",
                pa.float64(),
                "When it was done; for a hop, when the last bit had arrived. Null if after the run.",
                True,
            ),
            Column("n_tokens", pa.int32(), "Tokens that went through (compute), or were delivered (emit)."),
            Column("size_bytes", pa.int64(), "Bytes carried (send, control, endpoint) or reserved (wait)."),
            Column("energy_j", pa.float64(), "Active energy spent in it, up to the end of the run."),
            Column(
                "straggler_s",
                pa.float64(),
                "Of a group's compute span, time for which this member waited for the slowest, or for the "
                "root's embedding and head. Like the next three, 0 in any other span, and null if the pass "
                "ended after the run; what the four leave of a compute span, this member computed.",
                True,
            ),
            Column("air_s", pa.float64(), "Of a group's compute span, time of its sums on the air.", True),
            Column("wire_s", pa.float64(), "Of a group's compute span, time of its sums over wires.", True),
            Column(
                "handling_s",
                pa.float64(),
                "Of a group's compute span, time in which messages of sums were handled at their ends, "
                "and the group got into step.",
                True,
            ),
            Column(
                "error_variance", pa.float64(), "Normalised error of an analog all-reduce; else null.", True
            ),
            Column(
                "attempts",
                pa.int32(),
                "Transmissions that the unluckiest block of a message took.",
                at_least=1,
            ),
        ),
        "devices": (
            Column("device", _NAME, "Its name."),
            Column("group", _NAME, "The scenario's entry that made it."),
            Column(
                "kind", _NAME, "Its kind in the catalogue; null for one that has none, as a switch.", True
            ),
            Column(
                "origin",
                _NAME,
                "Where its compute times come from: measured, scaled or analytic; null for a switch.",
                True,
                among=Origin,
            ),
            Column(
                "serving",
                _NAME,
                "How it serves several requests: its serving discipline, as scenarios name it.",
            ),
            Column("duration_s", pa.float64(), "Length of the run."),
            Column("up_s", pa.float64(), "Time for which it was up."),
            Column("busy_s", pa.float64(), "Time its compute station worked."),
            Column("idle_w", pa.float64(), "Power it draws while it is up, its radio's included."),
            Column("active_w", pa.float64(), "Power it draws above that while it computes."),
            Column(
                "messages_on_compute",
                pa.bool_(),
                "Whether messages are handled on its compute station, or on one of their own.",
            ),
            Column(
                "energy_compute_j", pa.float64(), "Active energy of computing: `active_w` times `busy_s`."
            ),
            Column("energy_tx_j", pa.float64(), "Active energy of sending, above idle."),
            Column("energy_rx_j", pa.float64(), "Active energy of receiving, above idle."),
            Column(
                "energy_idle_j",
                pa.float64(),
                "`idle_w` times `up_s`.",
            ),
            Column("memory_bytes", pa.int64(), "Size of its memory."),
            Column("peak_memory_bytes", pa.int64(), "Most that weights, process and KV caches ever took."),
            Column("n_failures", pa.int32(), "Times it went down."),
        ),
    }
)

OPTIONAL_TABLES: Mapping[str, tuple[Column, ...]] = MappingProxyType(
    {
        "counters": (
            Column("device", _NAME, "The device; of a radio link's direction, the sender."),
            Column("peer", _NAME, "The receiver of a radio link's direction; else null.", True),
            Column(
                "name",
                _NAME,
                "kv_bytes (KV caches held, at every change); resident_bytes (weights and process, at time "
                "zero); battery_j (left in a battery, sampled); snr_db (signal to interference and noise "
                "of a link that serves, over its whole band, sampled).",
                among=CounterName,
            ),
            Column("at_s", pa.float64(), "Instant; rows are in its order."),
            Column(
                "value",
                pa.float64(),
                "In the unit that the name ends in; null where a link is out of reach.",
                True,
                at_least=-math.inf,
            ),
        ),
    }
)
"""Tables that a trace may do without."""

ALL_TABLES: Mapping[str, tuple[Column, ...]] = MappingProxyType({**TABLES, **OPTIONAL_TABLES})


def arrow_schema(table: str) -> pa.Schema:
    """Arrow schema of one table, its version in the metadata."""
    fields = [pa.field(c.name, c.type, c.nullable) for c in ALL_TABLES[table]]
    return pa.schema(fields, metadata={"edgesim_schema_version": str(SCHEMA_VERSION)})

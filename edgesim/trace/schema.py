"""Schema of a trace: tables, columns and enumerations, used by the writer, reader, laws and documentation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import pyarrow as pa

__all__ = [
    "ALL_TABLES",
    "BATCHED",
    "FIFO",
    "HOPS",
    "ONE_BY_ONE",
    "OPTIONAL_TABLES",
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
    """Activity of a span."""

    COMPUTE = "compute"
    ENDPOINT = "endpoint"
    SEND = "send"
    CONTROL = "control"
    ALL_REDUCE = "all_reduce"
    WAIT = "wait"
    EMIT = "emit"


HOPS = (SpanKind.SEND, SpanKind.CONTROL)
"""Span kinds that are one hop of a message."""


FIFO = "fifo"
"""The serving discipline that serves one pass at a time, in order of arrival: in a trace of any device."""

BATCHED = ("static", "continuous", "batched")
"""Serving disciplines whose passes wait for a batch, and are one pass of the device."""

ONE_BY_ONE = (FIFO, *BATCHED)
"""Serving disciplines whose device does one thing at a time; of any other that is not known."""


class LinkKind(StrEnum):
    """Kind of link of a hop or a sum, as in scenarios; a recorded link may be of a wire or a radio link."""

    WIRED = "wired"
    RADIO = "radio"
    RECORDED = "recorded"


class Origin(StrEnum):
    """Source of a device's compute times."""

    MEASURED = "measured"
    SCALED = "scaled"
    ANALYTIC = "analytic"


class CounterName(StrEnum):
    """Counters that a run records over time on request."""

    KV_BYTES = "kv_bytes"
    RESIDENT_BYTES = "resident_bytes"
    BATTERY_J = "battery_j"
    SNR_DB = "snr_db"


class Outcome(StrEnum):
    """Outcome of a request; ``censored`` means still in flight when the run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CENSORED = "censored"


@dataclass(frozen=True, slots=True)
class Column:
    """Definition of a table column.

    Attributes
    ----------
    meaning
        Description for the documentation.
    nullable
        Whether values may be null.
    at_least, at_most
        Bounds of numeric values.
    among
        Enumeration of all permitted names; None if names come from the scenario.
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
                "Number of the request, from 0, the same under every strategy. In order of arrival; if users "
                "wait for answers, by user (or session) and turn.",
            ),
            Column("source", _NAME, "Device that issues the request, and to which its tokens are delivered."),
            Column("sample", pa.int64(), "Number of the evaluation sample that represents its text."),
            Column("arrived_at_s", pa.float64(), "Instant of arrival."),
            Column(
                "first_token_at_s",
                pa.float64(),
                "Delivery of the first token at the source; null if no token was delivered.",
                True,
            ),
            Column(
                "ended_at_s",
                pa.float64(),
                "Delivery of the last token, or the failure; null if censored.",
                True,
            ),
            Column("n_prompt_tokens", pa.int32(), "Length of the prompt.", at_least=1),
            Column("n_output_tokens", pa.int32(), "Tokens requested.", at_least=1),
            Column("n_emitted_tokens", pa.int32(), "Tokens delivered."),
            Column(
                "outcome",
                _NAME,
                "completed, failed, or censored (in flight when the run ended).",
                among=Outcome,
            ),
            Column("reason", _NAME, "Why it failed, or that it was stuck when censored; else null.", True),
            Column(
                "energy_j",
                pa.float64(),
                "Active energy of all its spans, up to the end of the run; null if spans were not kept.",
                True,
            ),
            Column(
                "error_variance",
                pa.float64(),
                "Mean normalised error of its analog all-reduces; null if none. Over requests, use medians.",
                True,
            ),
            Column(
                "mean_exit_block",
                pa.float64(),
                "Mean number of blocks that its tokens passed; null if all tokens passed all blocks.",
                True,
                at_least=1,
            ),
            Column(
                "correct",
                pa.float64(),
                "Share of its tokens that were correct, each as answered by its exit, less the share lost to "
                "noise and losses; null if answers are not measured.",
                True,
                at_most=1,
            ),
            Column(
                "nll",
                pa.float64(),
                "Mean negative log likelihood of its tokens [nats], likewise; exp of its mean over tokens is "
                "the perplexity. Null if answers are not measured.",
                True,
            ),
            Column(
                "beyond_measured",
                pa.bool_(),
                "Whether an impairment exceeded its highest measured level, whose effect is then used; null "
                "if answers are not measured.",
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
                "Index of the output token that the span serves; 0 is the prefill. Null for control traffic.",
                True,
            ),
            Column(
                "kind",
                _NAME,
                "compute; endpoint (handling of a message at either end); send (one hop); control (one hop "
                "of a message between the strategy's own processes, without a request); all_reduce (the "
                "sums of a group's pass, at each member, for the duration of the pass); wait (for memory); "
                "emit (delivery of a token, of zero length).",
                among=SpanKind,
            ),
            Column("device", _NAME, "The computing device, or the sender."),
            Column("peer", _NAME, "The receiver of a hop; else null.", True),
            Column(
                "via",
                _NAME,
                "The link of a hop; for compute, the part of the model, with `keys and values of` before it "
                "if only these were computed; else null.",
                True,
            ),
            Column(
                "link_kind",
                _NAME,
                "Kind of link of a hop or a sum: wired, radio or recorded; else null.",
                True,
                among=LinkKind,
            ),
            Column(
                "asked_at_s", pa.float64(), "When the work was requested; queueing time is started - asked."
            ),
            Column("started_at_s", pa.float64(), "When it started; null if after the end of the run.", True),
            Column(
                "ended_at_s",
                pa.float64(),
                "When it ended; for a hop, when the last bit had arrived. Null if after the end of the run.",
                True,
            ),
            Column("n_tokens", pa.int32(), "Tokens processed (compute) or delivered (emit)."),
            Column("size_bytes", pa.int64(), "Bytes carried (send, control, endpoint) or reserved (wait)."),
            Column("energy_j", pa.float64(), "Active energy of the span, up to the end of the run."),
            Column(
                "straggler_s",
                pa.float64(),
                "Of a group's compute span, time for which this member waited for the slowest, or for the "
                "root's embedding and head. Like the next three, 0 in any other span, and null if the pass "
                "ended after the run. In the rest of a compute span, this member computed.",
                True,
            ),
            Column("air_s", pa.float64(), "Of a group's compute span, time of its sums on the air.", True),
            Column("wire_s", pa.float64(), "Of a group's compute span, time of its sums over wires.", True),
            Column(
                "handling_s",
                pa.float64(),
                "Of a group's compute span, time in which messages of sums were handled at their ends and "
                "the group was synchronised.",
                True,
            ),
            Column(
                "error_variance", pa.float64(), "Normalised error of an analog all-reduce; else null.", True
            ),
            Column(
                "attempts",
                pa.int32(),
                "Largest number of transmissions of any block of the message.",
                at_least=1,
            ),
        ),
        "devices": (
            Column("device", _NAME, "Name of the device."),
            Column("group", _NAME, "Entry of the scenario that defines it."),
            Column("kind", _NAME, "Its kind in the catalogue; null if it has none, such as a switch.", True),
            Column(
                "origin",
                _NAME,
                "Source of its compute times: measured, scaled or analytic; null for a switch.",
                True,
                among=Origin,
            ),
            Column(
                "serving",
                _NAME,
                "Its serving discipline, as scenarios name it.",
            ),
            Column("duration_s", pa.float64(), "Length of the run."),
            Column("up_s", pa.float64(), "Time for which it was up."),
            Column("busy_s", pa.float64(), "Time for which its compute station worked."),
            Column("idle_w", pa.float64(), "Power drawn while it is up, its radio's included."),
            Column("active_w", pa.float64(), "Power drawn above `idle_w` while it computes."),
            Column(
                "messages_on_compute",
                pa.bool_(),
                "Whether messages are handled on its compute station, not on a separate station.",
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
            Column("peak_memory_bytes", pa.int64(), "Largest sum of weights, process and KV caches."),
            Column("n_failures", pa.int32(), "Number of times it went down."),
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
                "kv_bytes (KV caches, at every change); resident_bytes (weights and process, at time zero); "
                "battery_j (energy left in a battery, sampled); snr_db (signal to interference and noise "
                "ratio of a serving link, over its whole band, sampled).",
                among=CounterName,
            ),
            Column("at_s", pa.float64(), "Instant; rows are in order of it."),
            Column(
                "value",
                pa.float64(),
                "Value in the unit at the end of the name; null if a link is out of reach.",
                True,
                at_least=-math.inf,
            ),
        ),
    }
)
"""Tables that a trace may lack."""

ALL_TABLES: Mapping[str, tuple[Column, ...]] = MappingProxyType({**TABLES, **OPTIONAL_TABLES})


def arrow_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a table, with the schema version in the metadata."""
    fields = [pa.field(c.name, c.type, c.nullable) for c in ALL_TABLES[table]]
    return pa.schema(fields, metadata={"edgesim_schema_version": str(SCHEMA_VERSION)})

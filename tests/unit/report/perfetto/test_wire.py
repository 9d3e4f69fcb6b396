"""The wire format, against the examples of its documentation, and another decoder."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from perfetto_checks import fields_of

from edgesim.report.perfetto.wire import (
    constant,
    double,
    fixed64,
    integer,
    join,
    message,
    nested,
    number,
    text,
)


def test_the_documentation_s_examples() -> None:
    """https://protobuf.dev/programming-guides/encoding/."""
    assert number(1, 150) == bytes.fromhex("089601")
    assert text(2, "testing") == bytes.fromhex("120774657374696e67")
    assert integer(1, np.array([150])).tobytes() == bytes.fromhex("089601")
    assert nested(3, number(1, 150)) == bytes.fromhex("1a03089601")


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20), st.integers(1, 2**20))
def test_columns_are_read_back(numbers: list[int], field: int) -> None:
    column = np.array(numbers, dtype=np.int64)
    is_even = column % 2 == 0
    packed = message(
        1,
        integer(field, column),
        fixed64(5, column).where(is_even),
        double(6, column / 3.0),
        message(7, constant(number(9, 3), len(column)), integer(2, column)).where(~is_even),
    )
    rows = [{place: value for place, _, value in fields_of(raw)} for _, _, raw in fields_of(packed.tobytes())]
    assert len(rows) == len(numbers)
    for value, row in zip(numbers, rows, strict=True):
        assert row[6] == struct.pack("<d", value / 3.0)
        if field not in (5, 6, 7):
            assert row[field] == value
        assert (5 in row) == (value % 2 == 0)
        if value % 2:
            assert list(fields_of(row[7])) == [(9, 0, 3), (2, 0, value)]
        elif field != 5:
            assert row[5] == value.to_bytes(8, "little")


def test_fields_follow_one_another_row_by_row() -> None:
    packed = join(integer(1, np.array([1, 300])), integer(2, np.array([2, 3])))
    assert packed.tobytes() == bytes.fromhex("0801 1002 08ac02 1003")


def test_a_surrogate_that_stands_alone_is_no_text() -> None:
    assert text(1, "\ud800x") == b"\x0a\x02?x"


def test_perfetto_s_own_decoder_agrees() -> None:
    pb2 = pytest.importorskip(
        "perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason="the package perfetto is not installed"
    )
    packet = pb2.Trace.FromString(nested(1, number(8, 12345), number(10, 1))).packet[0]
    assert (packet.timestamp, packet.trusted_packet_sequence_id) == (12345, 1)

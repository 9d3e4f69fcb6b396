"""Vectorised encoder of the Protocol Buffers wire format, for many messages of the same structure.

https://protobuf.dev/programming-guides/encoding/: a message is a sequence of fields, each a tag (number and
wire type, as a varint) and a value: a varint (type 0), eight bytes (type 1), or a length and so many bytes
(type 2).

A single message is a bytes object. Many messages are a matrix of bytes with one row per message and a mask of
the bytes that each row uses, so that a hundred thousand messages take as many NumPy calls as one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "Packed",
    "constant",
    "double",
    "fixed64",
    "integer",
    "join",
    "message",
    "nested",
    "number",
    "text",
]

_VARINT, _EIGHT, _LENGTH = 0, 1, 2


class Packed(NamedTuple):
    """Encoded bytes of n messages.

    Attributes
    ----------
    data
        Bytes, ``[n, width]``.
    used
        Mask of the bytes that each row uses, read from left to right, ``[n, width]``.
    """

    data: npt.NDArray[np.uint8]
    used: npt.NDArray[np.bool_]

    def where(self, mask: npt.NDArray[np.bool_]) -> Packed:
        """Keep the bytes of the messages selected by a mask, ``[n]``; the others become empty."""
        return Packed(self.data, self.used & mask[:, np.newaxis])

    def tobytes(self) -> bytes:
        """Concatenate all messages."""
        return self.data[self.used].tobytes()


def join(*parts: Packed) -> Packed:
    """Concatenate fields, message by message."""
    return Packed(np.hstack([part.data for part in parts]), np.hstack([part.used for part in parts]))


def integer(field: int, values: npt.NDArray[np.int64]) -> Packed:
    """Encode a field of type uint64, enum, or nonnegative int64, for n messages."""
    return join(_tag(field, _VARINT, len(values)), _varint(values))


def fixed64(field: int, values: npt.NDArray[np.int64]) -> Packed:
    """Encode a field of type fixed64, for n messages."""
    return join(_tag(field, _EIGHT, len(values)), _eight(values.astype("<u8")))


def double(field: int, values: npt.NDArray[np.float64]) -> Packed:
    """Encode a field of type double, for n messages."""
    return join(_tag(field, _EIGHT, len(values)), _eight(values.astype("<f8")))


def message(field: int, *fields: Packed) -> Packed:
    """Encode a field that is a message with these fields, for n messages."""
    body = join(*fields)
    return join(_tag(field, _LENGTH, len(body.data)), _varint(body.used.sum(axis=1)), body)


def constant(data: bytes, n: int) -> Packed:
    """Repeat the same bytes in n messages."""
    shape = (n, len(data))
    row = np.frombuffer(data, dtype=np.uint8)
    return Packed(np.broadcast_to(row, shape), np.broadcast_to(np.True_, shape))


def number(field: int, value: int) -> bytes:
    """Encode a field of type uint64, nonnegative int32, or enum, of a single message."""
    return _single(field << 3 | _VARINT) + _single(value)


def text(field: int, value: str) -> bytes:
    """Encode a field of type string, of a single message; a lone surrogate becomes a question mark."""
    return nested(field, value.encode("utf-8", "replace"))


def nested(field: int, *fields: bytes) -> bytes:
    """Encode a field that is a message with these fields, of a single message."""
    body = b"".join(fields)
    return _single(field << 3 | _LENGTH) + _single(len(body)) + body


def _single(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _tag(field: int, wire_type: int, n: int) -> Packed:
    return constant(_single(field << 3 | wire_type), n)


def _varint(values: npt.NDArray[np.integer]) -> Packed:
    """Encode varints: seven bits per byte, the lowest first; the top bit marks that more bytes follow."""
    numbers = values.astype(np.uint64)[:, np.newaxis]
    width = max(1, -(-int(numbers.max(initial=0)).bit_length() // 7))
    shifted = numbers >> (7 * np.arange(width, dtype=np.uint64))
    used = shifted > 0
    used[:, 0] = True
    more = np.zeros_like(used)
    more[:, :-1] = used[:, 1:]
    data = (shifted & np.uint64(0x7F)).astype(np.uint8) | (more * np.uint8(0x80))
    return Packed(data, used)


def _eight(values: npt.NDArray[np.generic]) -> Packed:
    data = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), 8)
    return Packed(data, np.ones(data.shape, dtype=bool))

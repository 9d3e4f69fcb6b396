"""Protocol buffers' wire format, for many messages of one shape at once.

https://protobuf.dev/programming-guides/encoding/: a message is a sequence of fields, each a tag (number and
wire type, as a varint) and a value: a varint (type 0), eight bytes (type 1), or a length and so many bytes
(type 2).

A single message is bytes. Columns of numbers become a matrix of bytes, a row for each message, of which each
row uses its own part: a hundred thousand messages take as many steps as one.
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
    """Bytes of n messages.

    Attributes
    ----------
    data
        ``[n, width]``, of which each row uses...
    used
        ...these, from left to right: ``[n, width]``.
    """

    data: npt.NDArray[np.uint8]
    used: npt.NDArray[np.bool_]

    def where(self, mask: npt.NDArray[np.bool_]) -> Packed:
        """The same where the mask says so, ``[n]``; else nothing."""
        return Packed(self.data, self.used & mask[:, np.newaxis])

    def tobytes(self) -> bytes:
        """All messages, one after the other."""
        return self.data[self.used].tobytes()


def join(*parts: Packed) -> Packed:
    """Fields one after the other, each message's own."""
    return Packed(np.hstack([part.data for part in parts]), np.hstack([part.used for part in parts]))


def integer(field: int, values: npt.NDArray[np.int64]) -> Packed:
    """A field of type uint64, enum, or int64 of 0 or more: ``[n]``."""
    return join(_tag(field, _VARINT, len(values)), _varint(values))


def fixed64(field: int, values: npt.NDArray[np.int64]) -> Packed:
    """A field of type fixed64."""
    return join(_tag(field, _EIGHT, len(values)), _eight(values.astype("<u8")))


def double(field: int, values: npt.NDArray[np.float64]) -> Packed:
    """A field of type double."""
    return join(_tag(field, _EIGHT, len(values)), _eight(values.astype("<f8")))


def message(field: int, *fields: Packed) -> Packed:
    """A field that is a message of these fields."""
    body = join(*fields)
    return join(_tag(field, _LENGTH, len(body.data)), _varint(body.used.sum(axis=1)), body)


def constant(data: bytes, n: int) -> Packed:
    """The same bytes in n messages."""
    shape = (n, len(data))
    row = np.frombuffer(data, dtype=np.uint8)
    return Packed(np.broadcast_to(row, shape), np.broadcast_to(np.True_, shape))


def number(field: int, value: int) -> bytes:
    """A field of type uint64, int32 of 0 or more, or enum, of a single message."""
    return _single(field << 3 | _VARINT) + _single(value)


def text(field: int, value: str) -> bytes:
    """A field of type string, of a single message; a surrogate that stands alone becomes a question mark."""
    return nested(field, value.encode("utf-8", "replace"))


def nested(field: int, *fields: bytes) -> bytes:
    """A field that is a message of these fields, of a single message."""
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
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
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

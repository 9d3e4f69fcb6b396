"""Protocol buffers' wire format, for many messages of one shape at once.

https://protobuf.dev/programming-guides/encoding/: a message is a sequence of fields, each a tag (number and
wire type, as a varint) and a value: a varint (type 0), eight bytes (type 1), or a length and so many bytes
(type 2).

Columns of numbers become a matrix of bytes, a row for each message, of which each row uses its own part. So a
hundred thousand messages take as many steps as one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Packed", "double", "fixed64", "integer", "join", "message", "one", "text"]

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


def text(field: int, value: str) -> Packed:
    """A field of type string, of one message; a surrogate that stands alone becomes a question mark."""
    data = np.frombuffer(value.encode("utf-8", "replace"), dtype=np.uint8)[np.newaxis]
    return join(_tag(field, _LENGTH, 1), _varint(np.array([data.shape[1]])), Packed(data, data >= 0))


def one(field: int, value: int, n: int = 1) -> Packed:
    """A field of type uint64, int32 of 0 or more, or enum: the same of n messages."""
    return _same(integer(field, np.array([value])), n)


def _tag(field: int, wire_type: int, n: int) -> Packed:
    return _same(_varint(np.array([field << 3 | wire_type])), n)


def _same(single: Packed, n: int) -> Packed:
    shape = (n, single.data.shape[1])
    return Packed(np.broadcast_to(single.data, shape), np.broadcast_to(single.used, shape))


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

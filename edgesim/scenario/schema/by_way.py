"""Link values that may differ by direction: one for both, or ``{up: ..., down: ...}``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from edgesim.fields import AS_WRITTEN, refuse
from edgesim.nearest import suggest

__all__ = ["UP_AND_DOWN", "ByDirection", "EachDirection", "FileName", "Reader", "refuse_ways_outside", "ways"]

Value = TypeVar("Value")
Other = TypeVar("Other")

UP_AND_DOWN = ("up", "down")
_UP_IS = "up is from the first end in 'between' to the second, down is back"


@dataclass(frozen=True, slots=True)
class ByDirection(Generic[Value]):
    """A value for each direction of a link.

    Attributes
    ----------
    up
        From the first end to the second: of radio links, from the terminal to the station.
    down
        From the second end to the first.
    """

    up: Value
    down: Value

    @property
    def is_one(self) -> bool:
        """Whether both directions have the same value."""
        return self.up == self.down

    def __iter__(self) -> Iterator[Value]:
        """Yield the up value, then the down value."""
        return iter((self.up, self.down))

    def map(self, change: Callable[[Value], Other]) -> ByDirection[Other]:
        """Apply a function to both values."""
        return ByDirection(change(self.up), change(self.down))


def ways(value: Value | ByDirection[Value]) -> ByDirection[Value]:
    """Return the values of the two directions; a single value applies to both."""
    return value if isinstance(value, ByDirection) else ByDirection(value, value)


def refuse_ways_outside(data: object, example: str) -> None:
    """Refuse `up` and `down` as keys of a section instead of inside its values; used in validators."""
    found = [key for key in UP_AND_DOWN if isinstance(data, Mapping) and key in data]
    if found:
        refuse(f"'{found[0]}' belongs inside a value, such as '{example}' ({_UP_IS})")


class Reader(Protocol):
    """Reader of a single value, with its serialisation and JSON Schema."""

    def read(self, data: Any) -> Any:
        """Read a value; refuse an invalid one."""

    def written(self, value: Any) -> object:
        """Return a value as it is written in a file."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON Schema of the value."""


class FileName:
    """Reader of a file name."""

    def read(self, text: object) -> str:
        """Return the name unchanged; refuse anything but non-empty text."""
        if not isinstance(text, str) or not text:
            refuse(f"expected the path of a file, got {text!r}")
        return text

    def written(self, value: object) -> object:
        """Return the name unchanged."""
        return value

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON Schema of a file name."""
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class EachDirection:
    """Reader of a field with one value for both directions, or a mapping of two.

    Parameters
    ----------
    one
        Reader of a single value.
    """

    one: Reader

    def read(self, data: object) -> Any:
        """Read ``5 ms`` as its value, and ``{up: 5 ms, down: 9 ms}`` as a :class:`ByDirection` of two."""
        if not isinstance(data, Mapping):
            return self.one.read(data)
        for key in data:
            if key not in UP_AND_DOWN:
                refuse(f"unknown key '{key}'; {suggest(key, UP_AND_DOWN)} ({_UP_IS})")
        for key in UP_AND_DOWN:
            if key not in data:
                refuse(f"'{key}' is missing; give both ({_UP_IS})")
        return ByDirection(*(self._read(data[key], f"in '{key}': ") for key in UP_AND_DOWN))

    def _serialised(self, value: object, info: SerializationInfo) -> object:
        def one(value: object) -> object:
            return self.one.written(value) if info.context == AS_WRITTEN else value

        return (
            {"up": one(value.up), "down": one(value.down)} if isinstance(value, ByDirection) else one(value)
        )

    def _read(self, data: object, where: str) -> Any:
        try:
            return self.one.read(data)
        except PydanticCustomError as error:
            refuse(where + error.message())
        except ValueError as error:  # from parsing a unit
            refuse(f"{where}{error}")

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a pydantic schema that calls :meth:`read`."""
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(self._serialised, info_arg=True),
        )

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON Schema of both forms."""
        one = self.one.__get_pydantic_json_schema__(core_schema, handler)
        two = {
            "title": "UpDown",
            "type": "object",
            "description": f"One value for each direction: {_UP_IS}.",
            "properties": dict.fromkeys(UP_AND_DOWN, one),
            "required": list(UP_AND_DOWN),
            "additionalProperties": False,
        }
        return {"anyOf": [one, two]}

"""Types of the strategy's options as written in scenarios; each has one error message per invalid value."""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from edgesim.fields import refuse

__all__ = ["Choice", "Cuts", "Stages", "Thresholds", "numbers_of"]

Choice = Literal["auto", "joint", "tuned", "none"]
"""Method by which thresholds are chosen."""

NEVER = "never"
_CHOICES = get_args(Choice)
_N_SHOWN = 60


class _Read:
    """An option parsed by one function, which returns the value or raises with a single error message."""

    schema: ClassVar[JsonSchemaValue]

    def read(self, data: object) -> Any:
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self.schema)


class _Stages(_Read):
    """A list of stages, each a name or a list of names."""

    schema: ClassVar[JsonSchemaValue] = {
        "type": "array",
        "minItems": 1,
        "items": {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}},
            ]
        },
    }

    def read(self, data: object) -> tuple[tuple[str, ...], ...]:
        """Read ``[[tx2, nx], agx]``."""
        given = (data,) if isinstance(data, str) else data
        if not isinstance(given, list | tuple):
            refuse(f"expected a list of stages, such as [[tx2, nx], agx], got {_shown(data)}")
        if not given:
            refuse("expected at least one stage, got []; name its devices or groups, or leave 'stages' out")
        return tuple(self._stage(number, stage) for number, stage in enumerate(given, 1))

    @staticmethod
    def _stage(number: int, stage: object) -> tuple[str, ...]:
        names = (stage,) if isinstance(stage, str) else stage
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            refuse(f"stage {number}: expected names of devices or groups, got {_shown(stage)}")
        if not names or not all(names):
            refuse(
                f"stage {number}: expected at least one device or group, got {_shown(stage)}; name one, or "
                "leave the stage out"
            )
        twice = [name for name, n_times in Counter(names).items() if n_times > 1]
        if twice:
            refuse(f"stage {number}: {twice[0]!r} occurs twice; name it once")
        return tuple(names)


class _Cuts(_Read):
    """Increasing numbers of blocks."""

    schema: ClassVar[JsonSchemaValue] = {"type": "array", "items": {"type": "integer", "minimum": 1}}

    def read(self, data: object) -> tuple[int, ...]:
        """Read ``[6, 11, 16]``, or one number."""
        given = (data,) if isinstance(data, int) else data
        if not isinstance(given, list | tuple) or any(
            isinstance(each, bool) or not isinstance(each, int) for each in given
        ):
            refuse(f"expected whole numbers of blocks, such as [6, 11, 16], got {_shown(data)}")
        if any(each < 1 for each in given):
            refuse(f"expected at least one block before the first cut, got {_shown(data)}")
        if list(given) != sorted(set(given)):
            refuse(f"expected increasing numbers of blocks, got {_shown(data)}; put them in order, each once")
        return tuple(given)


class _Thresholds(_Read):
    """The method by which thresholds are chosen, or one threshold for each exit."""

    schema: ClassVar[JsonSchemaValue] = {
        "anyOf": [
            {"enum": [*_CHOICES, NEVER]},
            {"type": "number", "minimum": 0},
            {
                "type": "array",
                "minItems": 1,
                "items": {"anyOf": [{"type": "number", "minimum": 0}, {"const": NEVER}]},
            },
        ]
    }
    _EXPECTED: ClassVar[str] = (
        "expected 'auto', 'joint', 'tuned', 'none', or a number or 'never', one for all exits or a list "
        "of one for each"
    )

    def read(self, data: object) -> str | tuple[float | str, ...]:
        """Read ``joint``, ``0.8`` or ``[0.8, never]``."""
        if isinstance(data, str) and data in _CHOICES:
            return data
        given = data if isinstance(data, list | tuple) else (data,)
        if not given:
            refuse(f"{self._EXPECTED}, got []; leave 'thresholds' out to have them chosen")
        return tuple(self._one(each, data) for each in given)

    def _one(self, value: object, data: object) -> float | str:
        if value == NEVER:
            return NEVER
        if isinstance(value, bool) or not isinstance(value, int | float):
            refuse(f"{self._EXPECTED}, got {_shown(data)}")
        if not math.isfinite(value):
            refuse(f"expected a finite number, got {value}; set 'never' for an exit that no task is to take")
        if value < 0:
            refuse(
                f"expected thresholds of at least 0, got {value:g}; set 'never' for an exit that no task is "
                "to take, and 'none' for no exits at all"
            )
        return float(value)


def numbers_of(thresholds: object, *, by_entropy: bool) -> tuple[float, ...]:
    """Return given thresholds as least confidences or largest entropies; empty if they are to be chosen."""
    never = -math.inf if by_entropy else math.inf
    given = thresholds if isinstance(thresholds, tuple) else ()
    return tuple(never if each == NEVER else each for each in given)


def _shown(data: object) -> str:
    text = repr(data)
    return text if len(text) <= _N_SHOWN else f"{text[:_N_SHOWN]}..."


Stages = Annotated[tuple[tuple[str, ...], ...], _Stages()]
Cuts = Annotated[tuple[int, ...], _Cuts()]
Thresholds = Annotated[Choice | tuple[float | Literal["never"], ...], _Thresholds()]

"""Pydantic field types for options: quantities (text with a unit in YAML, SI numbers in Python) and names.

Scenarios and strategies use them for their options, and so can plug-ins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NoReturn

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import (
    CoreSchema,
    PydanticCustomError,
    PydanticSerializationUnexpectedValue,
    core_schema,
)

from edgesim.units import (
    BYTE_RATE,
    COMPUTE_RATE,
    DATA_RATE,
    DATA_SIZE,
    DECIBELS,
    DECIBELS_ISOTROPIC,
    DECIBELS_MILLIWATT,
    DISTANCE,
    ENERGY,
    FREQUENCY,
    POWER,
    SPEED,
    TIME,
    Dimension,
    parse,
    written,
)

__all__ = [
    "AS_WRITTEN",
    "OWN_MESSAGE",
    "BitsPerSecond",
    "Bytes",
    "BytesPerSecond",
    "Decibels",
    "DecibelsIsotropic",
    "DecibelsMilliwatt",
    "FlopPerSecond",
    "Hertz",
    "Joules",
    "Metres",
    "MetresPerSecond",
    "Names",
    "NonNegativeDecibels",
    "PositiveBytes",
    "PositiveMetres",
    "PositiveMetresPerSecond",
    "PositiveSeconds",
    "Quantity",
    "Seconds",
    "Watts",
    "is_not_given",
    "refuse",
]


OWN_MESSAGE = "edgesim"
"""Type of pydantic errors whose message is shown to the user unchanged."""


AS_WRITTEN = "as written"
"""Context of ``model_dump`` that serialises quantities as text with a unit, as in files."""


def refuse(message: str) -> NoReturn:
    """Raise, from inside a validator, the pydantic error whose message is shown to the user unchanged."""
    raise PydanticCustomError(OWN_MESSAGE, "{sentence}", {"sentence": message})


def is_not_given(value: object) -> bool:
    """Whether an optional field has no value, and is left out when a scenario is written or digested."""
    return value is None or value == () or value == {}


def _listed(data: object) -> object:
    return [data] if isinstance(data, str) else data


Names = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...])]
"""A tuple of names; in YAML a single name may be written without brackets."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """Pydantic annotation of a field that is text with a unit: its dimension and permitted values.

    Parameters
    ----------
    dimension
        The dimension, which defines the units and the range.
    bound
        Permitted sign.
    whole
        Whether the value must be a whole number of the base unit; it is then read as an int.
    """

    dimension: Dimension
    bound: Literal["any", "zero or more", "more than zero"] = "more than zero"
    whole: bool = False

    def read(self, text: object) -> float | int:
        """Parse text such as ``'5 ms'`` to a number in the base unit (0.005), or refuse it."""
        value = parse(text, self.dimension)
        if (self.bound == "more than zero" and value <= 0) or (self.bound == "zero or more" and value < 0):
            refuse(
                f"expected {self.dimension.name} of {self.bound}, such as '{self.dimension.example}', "
                f"got {text!r}"
            )
        if self.whole and not value.is_integer():
            refuse(f"expected a whole number of {self.dimension.base_unit}, got {text!r}, which is {value:g}")
        return int(value) if self.whole else value

    def written(self, value: object) -> str:
        """Format a value as text that :meth:`read` parses to the same value."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PydanticSerializationUnexpectedValue(f"{value!r} is not {self.dimension.name}")
        return written(float(value), self.dimension)

    def _serialised(self, value: object, info: SerializationInfo) -> object:
        return self.written(value) if info.context == AS_WRITTEN else value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Build the pydantic schema: validate by :meth:`read`, serialise to files by :meth:`written`."""
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(self._serialised, info_arg=True),
        )

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Build the JSON schema of the text, for editors."""
        pattern = self.dimension.pattern
        if self.bound != "any":
            pattern = pattern.replace("[+-]?", "[+]?", 1)
        return {"type": "string", "pattern": pattern, "examples": [self.dimension.example]}


Seconds = Annotated[float, Quantity(TIME, "zero or more")]
PositiveSeconds = Annotated[float, Quantity(TIME)]
Hertz = Annotated[float, Quantity(FREQUENCY)]
Bytes = Annotated[int, Quantity(DATA_SIZE, "zero or more", whole=True)]
PositiveBytes = Annotated[int, Quantity(DATA_SIZE, whole=True)]
BitsPerSecond = Annotated[float, Quantity(DATA_RATE)]
BytesPerSecond = Annotated[float, Quantity(BYTE_RATE)]
Watts = Annotated[float, Quantity(POWER, "zero or more")]
Metres = Annotated[float, Quantity(DISTANCE, "any")]
PositiveMetres = Annotated[float, Quantity(DISTANCE)]
FlopPerSecond = Annotated[float, Quantity(COMPUTE_RATE)]
MetresPerSecond = Annotated[float, Quantity(SPEED, "zero or more")]
PositiveMetresPerSecond = Annotated[float, Quantity(SPEED)]
Joules = Annotated[float, Quantity(ENERGY)]
Decibels = Annotated[float, Quantity(DECIBELS, "any")]
NonNegativeDecibels = Annotated[float, Quantity(DECIBELS, "zero or more")]
DecibelsMilliwatt = Annotated[float, Quantity(DECIBELS_MILLIWATT, "any")]
DecibelsIsotropic = Annotated[float, Quantity(DECIBELS_ISOTROPIC, "any")]

"""The dimensioned fields of a scenario: text with a unit in YAML, SI numbers in Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from edgesim import units
from edgesim.scenario.section import refuse

__all__ = [
    "BitsPerSecond",
    "Bytes",
    "BytesPerSecond",
    "FlopPerSecond",
    "Hertz",
    "Metres",
    "PositiveBytes",
    "PositiveMetres",
    "PositiveSeconds",
    "Seconds",
    "Watts",
]


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a field's text is read: its dimension, and which values make sense there."""

    dimension: units.Dimension
    bound: Literal["any", "zero or more", "more than zero"] = "more than zero"
    whole: bool = False

    def read(self, text: object) -> float | int:
        """Read ``'5 ms'`` as 0.005, or refuse it."""
        value = units.parse(text, self.dimension)
        if (self.bound == "more than zero" and value <= 0) or (self.bound == "zero or more" and value < 0):
            refuse(f"expected {self.dimension.name} of {self.bound}, such as '{self.dimension.example}', got {text!r}")
        if self.whole and not value.is_integer():
            refuse(f"expected a whole number of {self.dimension.base_unit}, got {text!r}, which is {value:g}")
        return int(value) if self.whole else value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic call :meth:`read`."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the text to an editor."""
        pattern = self.dimension.pattern
        if self.bound != "any":
            pattern = pattern.replace("[+-]?", "[+]?", 1)
        return {"type": "string", "pattern": pattern, "examples": [self.dimension.example]}


Seconds = Annotated[float, Quantity(units.TIME, "zero or more")]
PositiveSeconds = Annotated[float, Quantity(units.TIME)]
Hertz = Annotated[float, Quantity(units.FREQUENCY)]
Bytes = Annotated[int, Quantity(units.DATA_SIZE, "zero or more", whole=True)]
PositiveBytes = Annotated[int, Quantity(units.DATA_SIZE, whole=True)]
BitsPerSecond = Annotated[float, Quantity(units.DATA_RATE)]
BytesPerSecond = Annotated[float, Quantity(units.BYTE_RATE)]
Watts = Annotated[float, Quantity(units.POWER, "zero or more")]
Metres = Annotated[float, Quantity(units.DISTANCE, "any")]
PositiveMetres = Annotated[float, Quantity(units.DISTANCE)]
FlopPerSecond = Annotated[float, Quantity(units.COMPUTE_RATE)]

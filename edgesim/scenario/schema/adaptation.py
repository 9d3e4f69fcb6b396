"""Scenario section of link adaptation, for radios that do not use their standard's default."""

from __future__ import annotations

from typing import ClassVar

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.plugins import EntryPointGroup
from edgesim.scenario.schema.link_rate import LINK_RATES, LinkRate
from edgesim.scenario.text.open_choice import OpenChoice

__all__ = ["AdaptationChoice"]


class AdaptationChoice(OpenChoice[LinkRate]):
    """Link adaptation (SINR to rates and errors): settings of the radio's own standard, or Shannon."""

    group: ClassVar[EntryPointGroup[type[LinkRate]]] = LINK_RATES
    order: ClassVar[tuple[str, ...]] = ("shannon", "nr", "wifi")
    example: ClassVar[str] = "shannon or {nr: {mcs_table: 2}}"

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        return {data: {}} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return a schema that also accepts the name alone of a model whose options all have defaults."""
        choice = super().__get_pydantic_json_schema__(core_schema, handler)
        alternatives = handler.resolve_ref_schema(choice)["properties"]
        words = [name for name, one in alternatives.items() if not one.get("required")]
        return {"anyOf": [{"enum": words}, choice]}

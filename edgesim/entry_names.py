"""Pydantic field types for names of plug-in entries; an unknown name is an error in the scenario."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from edgesim import plugins
from edgesim.errors import InputError
from edgesim.fields import refuse
from edgesim.plugins import EntryPointGroup

__all__ = ["EntryName", "NameSchema"]


@dataclass(frozen=True, slots=True)
class NameSchema:
    """Annotation for the JSON schema: a name is one of the entries known when the schema is made."""

    group: EntryPointGroup[Any]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return a JSON schema that enumerates the names."""
        return {"type": "string", "enum": list(plugins.names(self.group))}


@dataclass(frozen=True, slots=True)
class EntryName:
    """Annotation of a field: text must name an entry that can be loaded; other values pass unchecked."""

    group: EntryPointGroup[Any]

    def read(self, data: object) -> object:
        """Return the value; refuse a name that is unknown or whose entry cannot be loaded."""
        if isinstance(data, str):
            try:
                plugins.load(self.group, data)
            except InputError as error:
                refuse(str(error))
        return data

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Build the pydantic schema: check the name before the field's own validation."""
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Build the field's JSON schema; enumerate the names if the field accepts only a string."""
        schema = handler(core_schema)
        return schema | {"enum": list(plugins.names(self.group))} if schema == {"type": "string"} else schema

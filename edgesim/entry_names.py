"""Fields that name an entry of a group: an unknown name is a mistake of the scenario."""

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
    """Describes a name to an editor: any that is known as the schema is made."""

    group: EntryPointGroup[Any]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """List the names."""
        return {"type": "string", "enum": list(plugins.names(self.group))}


@dataclass(frozen=True, slots=True)
class EntryName:
    """A field whose text is the name of an entry that can be loaded; what is no text is left to the field."""

    group: EntryPointGroup[Any]

    def read(self, data: object) -> object:
        """Return it, or refuse a name that is unknown, or whose entry cannot be loaded."""
        if isinstance(data, str):
            try:
                plugins.load(self.group, data)
            except InputError as error:
                refuse(str(error))
        return data

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read before the field does."""
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the field, with the names where it is a name alone."""
        schema = handler(core_schema)
        return schema | {"enum": list(plugins.names(self.group))} if schema == {"type": "string"} else schema

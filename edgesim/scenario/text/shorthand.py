"""Short forms of scenario sections: ``radio: wifi6`` for ``radio: {use: wifi6}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaValue

__all__ = ["Plain", "Shorthand", "Words", "value_of"]


class Shorthand(Protocol):
    """The marker of a section that may be written without its keys: its ``shorthand``."""

    def expanded(self, data: object) -> object:
        """Return the section's mapping for a short form; anything else unchanged."""

    def schema(self, properties: Mapping[str, Any]) -> JsonSchemaValue:
        """Return the JSON schema of the short form, given those of the section's keys."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A value that is not a mapping stands for the whole section."""

    mapping: Callable[[Any], dict[str, Any]]
    """Makes the section's mapping from the value."""
    described: Callable[[Mapping[str, Any]], JsonSchemaValue]
    """Makes the JSON schema of the short form from those of the section's keys."""
    types: tuple[type, ...] = ()
    """Types of a short form; truth values are numbers only where `bool` is listed; empty: any."""

    def expanded(self, data: object) -> object:
        """Return the section's mapping if the value is of one of the types; else the value."""
        if isinstance(data, Mapping | BaseModel):
            return data
        is_of_type = isinstance(data, self.types) and (not isinstance(data, bool) or bool in self.types)
        return self.mapping(data) if is_of_type or not self.types else data

    def schema(self, properties: Mapping[str, Any]) -> JsonSchemaValue:
        """Return the JSON schema of the short form."""
        return self.described(properties)


def value_of(key: str, *types: type, schema: JsonSchemaValue | None = None) -> Plain:
    """Return the short form in which the value of one key stands for the section.

    Parameters
    ----------
    key
        The key, as written in YAML.
    types
        As for :class:`Plain`.
    schema
        JSON schema of the short form; by default that of the key.
    """
    return Plain(lambda value: {key: value}, lambda properties: schema or properties[key], types)


@dataclass(frozen=True, slots=True)
class Words:
    """In a choice, a word stands for the alternative of that name, without options."""

    names: tuple[str, ...] = ()
    """Alternatives without options, which YAML may also give as keys without values; empty: the JSON schema
    lists those whose options all have defaults."""

    def expanded(self, data: object) -> object:
        """Return the mapping of a word, and empty options for a listed name without a value."""
        if isinstance(data, str):
            return {data: {}}
        if isinstance(data, dict):
            return {key: {} if value is None and key in self.names else value for key, value in data.items()}
        return data

    def schema(self, properties: Mapping[str, Any]) -> JsonSchemaValue:
        """Return the JSON schema of the words."""
        without_required = (
            name
            for name, alternative in properties.items()
            if not any(form.get("required") for form in (alternative, *alternative.get("anyOf", ())))
        )
        return {"enum": list(self.names or without_required)}

"""Base classes of scenario sections: frozen, strict about keys, with readable error messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, ValidationError

from edgesim.errors import InputError
from edgesim.fields import OWN_MESSAGE, refuse
from edgesim.scenario.text.descriptions import add_descriptions, descriptions
from edgesim.scenario.text.problems import explain_all
from edgesim.scenario.text.shorthand import Shorthand

__all__ = ["Choice", "Section", "known_keys", "made_or_refused"]

Value = TypeVar("Value")


def made_or_refused(make: Callable[[], Value]) -> Value:
    """Return ``make()`` inside a validator; an InputError becomes a validation error of the scenario."""
    try:
        return make()
    except InputError as error:
        refuse(str(error))


def known_keys(model: type[BaseModel]) -> dict[str, str]:
    """Return the keys that a model accepts, as written in YAML, with their descriptions."""
    texts = descriptions(model)
    return {field.alias or name: texts.get(name, "") for name, field in model.model_fields.items()}


class Section(BaseModel):
    """A mapping in a scenario file.

    Python names include units (``latency_s``), YAML names do not (``latency``); the docstrings of the fields
    become descriptions in the exported JSON Schema.
    """

    shorthand: ClassVar[Shorthand | None] = None
    """How the section may be written without its keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra=add_descriptions, allow_inf_nan=False
    )

    @classmethod
    def short_form(cls) -> Shorthand | None:
        """Return how the section may be written without its keys; None if it may not."""
        return cls.shorthand

    @model_validator(mode="wrap")
    @classmethod
    def _speak_plainly(cls, data: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Expand a short form; replace pydantic's messages by this project's, with the section's keys."""
        try:
            short = cls.short_form()
            return handler(data if short is None else short.expanded(data))
        except ValidationError as error:
            lines = explain_all(error, known_keys(cls))
            details = [
                InitErrorDetails(
                    type=PydanticCustomError(OWN_MESSAGE, "{sentence}", {"sentence": line.message}),
                    loc=line.path,
                    input=None,
                )
                for line in lines
            ]
            raise ValidationError.from_exception_data(cls.__name__, details) from None

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON schema of the mapping and, if there is one, of its short form."""
        mapping = cls._mapping_schema(core_schema, handler)
        short = cls.short_form()
        if short is None:
            return mapping
        return {"anyOf": [short.schema(handler.resolve_ref_schema(mapping)["properties"]), mapping]}

    @classmethod
    def _mapping_schema(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON schema of the section as a mapping."""
        return handler(core_schema)


class Choice(Section):
    """A mapping with exactly one of several keys: ``{poisson: 0.4 Hz}`` or ``{gamma: {...}}``."""

    example: ClassVar[str]
    """Example of a choice, for messages."""

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, data: object) -> object:
        # Unknown keys are left to the field-by-field validation, which suggests the nearest known key.
        known = [field.alias or name for name, field in cls.model_fields.items()]
        given = [key for key in data if key in known] if isinstance(data, Mapping) else [None]
        has_unknown = isinstance(data, Mapping) and any(key not in known for key in data)
        if len(given) != 1 and not has_unknown:
            got = " and ".join(map(str, given)) or "none of them"
            refuse(f"expected exactly one of {', '.join(known)}, such as {cls.example}, got {got}")
        if len(given) == 1 and isinstance(data, Mapping) and data[given[0]] is None:
            refuse(f"'{given[0]}' has no value; expected one, such as {cls.example}")
        return data

    @classmethod
    def _mapping_schema(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return a schema that requires exactly one key."""
        schema = handler(core_schema)
        handler.resolve_ref_schema(schema).update(minProperties=1, maxProperties=1)
        return schema

"""A choice among the entries of an entry-point group, built-in or installed: ``{poisson: 0.4 Hz}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, NoReturn, TypeVar, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from edgesim import plugins
from edgesim.errors import InputError
from edgesim.fields import OWN_MESSAGE, refuse
from edgesim.plugins import EntryPointGroup
from edgesim.scenario.text.problems import explain_all
from edgesim.scenario.text.section import Section, known_keys
from edgesim.scenario.text.shorthand import Shorthand, value_of

__all__ = ["Alternative", "OpenChoice"]

Entry = TypeVar("Entry", bound="Alternative")


class Alternative(Section):
    """The options of one entry of a group, given under the entry's name in a choice."""

    short: ClassVar[str] = ""
    """Key of a value written without keys: ``{poisson: 1 Hz}`` is short for ``{poisson: {rate: 1 Hz}}``."""

    @classmethod
    def short_form(cls) -> Shorthand | None:
        """Return the short form: the value of the key `short`, if there is one."""
        return value_of(cls.short) if cls.short else cls.shorthand

    @model_serializer(mode="wrap")
    def _to_short(self, handler: SerializerFunctionWrapHandler) -> Any:
        values = handler(self)
        names = {
            self.short,
            *(n for n, field in type(self).model_fields.items() if field.alias == self.short),
        }
        (only, *others) = values or [""]
        return values[only] if self.short and not others and only in names else values


class OpenChoice(Section, Generic[Entry]):
    """A mapping with exactly one key, the name of an entry of a group, and that entry's options.

    The entry's object is the attribute of that name, and also :attr:`chosen`.
    """

    model_config = ConfigDict(extra="allow")

    group: ClassVar[EntryPointGroup[Any]]
    """Group whose entries are the alternatives: :class:`Alternative` classes, or see :meth:`alternative`."""
    order: ClassVar[tuple[str, ...]] = ()
    """Names that come first in messages and listings."""
    listed: ClassVar[tuple[str, ...]] = ()
    """Alternatives that a dump lists as not chosen, on which digests depend; empty: edgesim's own."""
    example: ClassVar[str]
    """Example of a choice, for messages."""

    @classmethod
    def alternative(cls, entry: Any) -> type[Alternative]:
        """Return the section of an entry's options; by default the entry is one."""
        found: type[Alternative] = entry
        return found

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all alternatives without loading them."""
        known = plugins.names(cls.group)
        return (*(name for name in cls.order if name in known), *(n for n in known if n not in cls.order))

    @property
    def name(self) -> str:
        """Name of the chosen alternative."""
        return next(iter(self.__pydantic_extra__ or {}))

    @property
    def chosen(self) -> Entry:
        """Options of the chosen alternative."""
        return cast("Entry", next(iter((self.__pydantic_extra__ or {}).values())))

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, data: object) -> object:
        if isinstance(data, BaseModel):
            return data
        known = cls.names()
        given = list(data) if isinstance(data, Mapping) else []
        unknown = [key for key in given if key not in known]
        if unknown:
            cls._fail([((str(unknown[0]),), cls._about(str(unknown[0])))])
        if len(given) != 1:
            got = " and ".join(map(str, given)) or "none of them"
            refuse(f"expected exactly one of {', '.join(known)}, such as {cls.example}, got {got}")
        assert isinstance(data, Mapping)
        ((name, value),) = data.items()
        if value is None:
            refuse(f"'{name}' has no value; expected one, such as {cls.example}")
        try:
            kind = cls.alternative(plugins.load(cls.group, name))
        except InputError as error:
            refuse(str(error))
        if isinstance(value, kind):
            return data
        try:
            return {name: kind.model_validate(value)}
        except ValidationError as error:
            cls._fail(
                [
                    ((name, *_without_short(kind, value, line.path)), line.message)
                    for line in explain_all(error, known_keys(kind))
                ]
            )

    @classmethod
    def _about(cls, name: str) -> str:
        try:
            plugins.load(cls.group, name)
        except InputError as error:
            return str(error)
        return f"'{name}' is unknown"

    @classmethod
    def _fail(cls, mistakes: list[tuple[tuple[str | int, ...], str]]) -> NoReturn:
        raise ValidationError.from_exception_data(
            cls.__name__,
            [
                InitErrorDetails(
                    type=PydanticCustomError(OWN_MESSAGE, "{sentence}", {"sentence": sentence}),
                    loc=path,
                    input=None,
                )
                for path, sentence in mistakes
            ],
        )

    @model_serializer(mode="wrap")
    def _with_the_others(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        """Serialise the built-in alternatives that are not given as None, like every choice of a scenario."""
        values = handler(self)
        if info.exclude_none:
            return values
        return dict.fromkeys(self.listed or plugins.own_names(self.group)) | values

    @classmethod
    def _mapping_schema(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return a schema of the alternatives that are installed when it is made."""
        schema = handler(core_schema)
        known = plugins.discover_all(cls.group)
        properties = {}
        for name in cls.names():
            entry = known[name]
            if not isinstance(entry, InputError):
                kind = cls.alternative(entry)
                inner = kind.__get_pydantic_json_schema__(kind.__pydantic_core_schema__, handler)
                properties[name] = inner | {"description": plugins.first_line(kind)}
        handler.resolve_ref_schema(schema).update(
            properties=properties, additionalProperties=False, minProperties=1, maxProperties=1
        )
        return schema


def _without_short(
    kind: type[Alternative], value: object, path: tuple[str | int, ...]
) -> tuple[str | int, ...]:
    """Return the path of a mistake in the document, which has no key for the short form."""
    is_short = kind.short and not isinstance(value, Mapping)
    return path[1:] if is_short and path[:1] == (kind.short,) else path

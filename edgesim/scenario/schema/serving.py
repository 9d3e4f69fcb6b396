"""How a device serves several requests at once: the ``serving`` of a device in a scenario."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Self

from pydantic import create_model, model_validator

from edgesim.fields import refuse
from edgesim.plugins import EntryPointGroup
from edgesim.scenario.text.descriptions import own_descriptions
from edgesim.scenario.text.open_choice import Alternative, OpenChoice
from edgesim.scenario.text.shorthand import Shorthand, Words
from edgesim.world.discipline import DISCIPLINES, ServingDiscipline, options_of

__all__ = ["ServingChoice", "ServingOptions"]


class ServingOptions(Alternative):
    """Options of a discipline, as a scenario states them."""

    discipline: ClassVar[type[ServingDiscipline]]
    """The class whose fields they are."""

    def value(self) -> ServingDiscipline:
        """Return the discipline with these options."""
        return self.discipline(**{name: getattr(self, name) for name in type(self).model_fields})

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        """Pickle by the discipline: the class of its options is made again in the other process."""
        return _blank, (self.discipline,), self.__getstate__()


class ServingChoice(OpenChoice[ServingOptions]):
    """One discipline; one whose options all have defaults may be written as a word."""

    shorthand: ClassVar[Shorthand | None] = Words()

    group: ClassVar[EntryPointGroup[type[ServingDiscipline]]] = DISCIPLINES
    order: ClassVar[tuple[str, ...]] = ("fifo", "processor-sharing", "static", "continuous", "batched")
    listed: ClassVar[tuple[str, ...]] = ("fifo", "processor-sharing", "static", "continuous")
    example: ClassVar[str] = "processor-sharing or {continuous: {max_batch: 16}}"

    @classmethod
    def alternative(cls, entry: Any) -> type[ServingOptions]:
        """Return the section of a discipline's options."""
        return _options(entry)

    @model_validator(mode="after")
    def _has_the_name(self) -> Self:
        own = self.chosen.discipline.name
        if own != self.name:
            refuse(f"its class has the name {own!r}, and its entry point {self.name!r}; use one name")
        return self

    def value(self) -> ServingDiscipline | None:
        """Return the discipline; None is first come, first served, without limits."""
        discipline = self.chosen.value()
        return None if discipline.is_default else discipline


def _blank(kind: Any) -> ServingOptions:
    made = _options(kind)
    return made.__new__(made)


@cache
def _options(kind: Any) -> type[ServingOptions]:
    texts: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        texts |= own_descriptions(base)
    options: dict[str, Any] = options_of(kind, texts)
    made = create_model(f"{kind.__name__}Options", __base__=ServingOptions, __doc__=kind.__doc__, **options)
    made.discipline = kind
    return made

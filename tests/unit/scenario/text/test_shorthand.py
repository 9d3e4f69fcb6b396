"""Sections written without their keys, their JSON schemas, and values that are no short form."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from edgesim.scenario.schema.service import ServiceChoice
from edgesim.scenario.text.open_choice import Alternative
from edgesim.scenario.text.section import Section
from edgesim.scenario.text.shorthand import Plain, Shorthand, value_of


class Nothing(Section):
    """No options."""


class Bandwidth(Section):
    """Options of a key that may stand alone."""

    shorthand: ClassVar[Shorthand | None] = value_of("use", str, schema={"type": "string"})

    use: str
    gain: float = 1.0


class Anything(Section):
    """Whatever is not a mapping is the key's value."""

    shorthand: ClassVar[Shorthand | None] = value_of("value")

    value: Annotated[int, Field(strict=True, ge=1)]


class Factor(Section):
    """A number has a longer meaning."""

    shorthand: ClassVar[Shorthand | None] = Plain(
        lambda factor: {"steps": [factor, factor]}, lambda properties: {"type": "number"}, (int, float)
    )

    steps: tuple[float, ...]


@pytest.mark.parametrize(
    ("section", "short", "whole"),
    [
        (Bandwidth, "wifi", {"use": "wifi"}),
        (Anything, 3, {"value": 3}),
        (Factor, 0.5, {"steps": [0.5, 0.5]}),
        (ServiceChoice, "exponential", {"exponential": {}}),
        (ServiceChoice, {"exponential": None}, {"exponential": {}}),
    ],
)
def test_a_short_form_is_the_section_that_it_stands_for(
    section: type[Section], short: object, whole: dict[str, Any]
) -> None:
    made = section.model_validate(short)
    assert made == section.model_validate(whole)
    assert section.model_validate(made) == made


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        (Bandwidth, 5, "expected a mapping"),
        (Anything, 0, "value"),
        (Anything, None, "value"),
        (Factor, True, "expected a mapping"),  # a truth value is no number
        (Factor, "fast", "expected a mapping"),
        (ServiceChoice, "odd", "odd"),
        (ServiceChoice, {"gamma": None}, "'gamma' has no value"),
    ],
)
def test_what_is_no_short_form_is_refused(section: type[Section], value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        section.model_validate(value)


def test_schemas_accept_both_forms() -> None:
    def short(section: type[Section]) -> object:
        return section.model_json_schema()["anyOf"][0]

    assert short(Bandwidth) == {"type": "string"}
    assert short(Anything) == {"minimum": 1, "title": "Value", "type": "integer"}
    assert short(Factor) == {"type": "number"}
    assert short(ServiceChoice) == {"enum": ["constant", "exponential"]}
    assert "anyOf" not in Nothing.model_json_schema()


class Rate(Alternative):
    """An alternative with a short form."""

    short: ClassVar[str] = "rate"

    rate: float


class Spelt(Rate):
    """The same without one."""

    short: ClassVar[str] = ""


def test_an_alternative_may_drop_the_short_form_of_its_base() -> None:
    assert Rate.model_validate(2.0) == Rate(rate=2.0)
    with pytest.raises(ValidationError, match="expected a mapping"):
        Spelt.model_validate(2.0)
    assert "anyOf" in Rate.model_json_schema()
    assert "anyOf" not in Spelt.model_json_schema()

"""A key of a choice without a value is no choice, in any part of a scenario."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgesim.scenario.schema import adaptation, mobility, radio, service, workload
from edgesim.scenario.schema.adaptation import AdaptationChoice
from edgesim.scenario.schema.workload import ArrivalsChoice
from edgesim.scenario.text.section import Choice

CHOICES = [
    (kind, field.alias or name)
    for kind in Choice.__subclasses__()
    for name, field in kind.model_fields.items()
    if name not in ("constant", "exponential", "none", "environment", "rayleigh")  # words by themselves
]
CHOICES += [(kind, name) for kind in (ArrivalsChoice, AdaptationChoice) for name in kind.names()]
MODULES = (adaptation, mobility, radio, service, workload)


def test_every_part_with_a_choice_is_here() -> None:
    assert {kind.__module__ for kind, _ in CHOICES} == {module.__name__ for module in MODULES}


@pytest.mark.parametrize(("kind", "key"), CHOICES, ids=lambda part: getattr(part, "__name__", part))
def test_a_key_without_a_value_is_refused(kind: type[Choice], key: str) -> None:
    with pytest.raises(ValidationError, match=f"'{key}' has no value|expected"):
        kind.model_validate({key: None})

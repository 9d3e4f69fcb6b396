"""A scenario as it takes effect: every default filled in, as a file that stands for the same study."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from edgesim.fields import AS_WRITTEN
from edgesim.scenario.catalogue import radio_kind
from edgesim.scenario.contenders import contenders
from edgesim.scenario.schema.radio import RadioEntry
from edgesim.scenario.schema.scenario import Scenario

__all__ = ["effective", "effective_text"]


def effective(scenario: Scenario) -> dict[str, Any]:
    """Return what a scenario comes to, as ordinary mappings, lists, text with units and numbers.

    Overrides are in it, contents of included files too, defaults are filled in, those of the strategies'
    options among them, and every strategy has the label that results call it by. Left out is what is not
    given and has no default (a horizon, a battery). Files and kinds of the catalogue stay names.
    """
    told = _dump(scenario)
    if "profiles" not in scenario.model_fields_set:  # named, the folder would have to be there
        del told["profiles"]
    for entry, link in zip(scenario.topology.links, told["topology"]["links"], strict=True):
        for key in () if entry.radio is None else _says_nothing(entry.radio):
            del link["radio"][key]
    told["strategies"] = [
        {"use": entry.use, "label": label} | _dump(strategy)
        for entry, (label, strategy) in zip(scenario.strategies, contenders(scenario).items(), strict=True)
    ]
    return told


def effective_text(scenario: Scenario) -> str:
    """Write :func:`effective` as YAML that :func:`edgesim.scenario.load.parse` takes for the same study.

    Relative paths in it start where the scenario's own do.
    """
    yaml = YAML(typ="rt")
    yaml.width = 110
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(_laid_out(effective(scenario)), stream)
    return stream.getvalue()


def _says_nothing(radio: RadioEntry) -> Iterator[str]:
    """Which settings of other ways to share the air are at defaults, and would be refused if written."""
    access = radio.access or radio_kind(radio.use).access
    for key, of in (("contention", "dcf"), ("fairness_window", "proportional-fair")):
        if key not in radio.model_fields_set and access != of:
            yield key


def _dump(value: Any) -> dict[str, Any]:
    told: dict[str, Any] = value.model_dump(mode="json", by_alias=True, exclude_none=True, context=AS_WRITTEN)
    return told


def _laid_out(value: Any) -> Any:
    """Lay out mappings line by line; lists of plain values, and short mappings of such, in one line."""
    if isinstance(value, Mapping):
        block = CommentedMap((key, _laid_out(each)) for key, each in value.items())
        if not block or (
            len(block) <= 4 and all(_is_plain(each) for each in value.values()) and _is_short(value)
        ):
            block.fa.set_flow_style()
        return block
    if isinstance(value, list):
        items = CommentedSeq(_laid_out(each) for each in value)
        if all(_is_plain(each) for each in value):
            items.fa.set_flow_style()
        return items
    return value


def _is_plain(value: object) -> bool:
    return not isinstance(value, Mapping | list)


def _is_short(value: object) -> bool:
    return len(str(value)) <= 80

"""The effective scenario: all defaults filled in, as an equivalent scenario file."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from edgesim.fields import AS_WRITTEN
from edgesim.scenario.catalogue import radio_kind
from edgesim.scenario.schema.radio import RadioEntry
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.strategy_labels import strategies_by_label

__all__ = ["effective", "effective_text"]


def effective(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario with all defaults, as plain mappings, lists, numbers and text with units.

    Overrides, contents of included files and defaults, also of the strategies' options, are filled in, and
    every strategy has its label in results. Keys that are not given and have no default (a horizon, a
    battery) are left out. Files and kinds of the catalogue are given by name.
    """
    values = _dump(scenario)
    if "profiles" not in scenario.model_fields_set:  # if the folder were named, it would have to exist
        del values["profiles"]
    for entry, link in zip(scenario.topology.links, values["topology"]["links"], strict=True):
        for key in () if entry.radio is None else _unused_defaults(entry.radio):
            del link["radio"][key]
    values["strategies"] = [
        {"use": entry.use, "label": label} | _dump(strategy)
        for entry, (label, strategy) in zip(
            scenario.strategies, strategies_by_label(scenario).items(), strict=True
        )
    ]
    return values


def effective_text(scenario: Scenario) -> str:
    """Return :func:`effective` as YAML, from which :func:`edgesim.scenario.load.parse` makes the same study.

    Relative paths in it start in the same folder as the scenario's own.
    """
    yaml = YAML(typ="rt")
    yaml.width = 110
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(_laid_out(effective(scenario)), stream)
    return stream.getvalue()


def _unused_defaults(radio: RadioEntry) -> Iterator[str]:
    """Yield settings of other medium-access schemes at their defaults, which would be refused if written."""
    access = radio.access or radio_kind(radio.use).access
    for key, of in (("contention", "dcf"), ("fairness_window", "proportional-fair")):
        if key not in radio.model_fields_set and access != of:
            yield key


def _dump(value: Any) -> dict[str, Any]:
    values: dict[str, Any] = value.model_dump(
        mode="json", by_alias=True, exclude_none=True, context=AS_WRITTEN
    )
    return values


def _laid_out(value: Any) -> Any:
    """Write mappings line by line; lists of plain values, and short mappings of them, on one line."""
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

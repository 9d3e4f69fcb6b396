"""Names that scenarios and results use beside those of the catalogue, as rows: headings first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edgesim.errors import InputError

if TYPE_CHECKING:
    from edgesim.scenario.text.open_choice import OpenChoice
    from edgesim.scenario.text.section import Choice

__all__ = ["ROWS", "Rows"]

Rows = list[tuple[str, ...]]
Schema = dict[str, Any]


def _options() -> Rows:
    """List the options of every strategy that can be loaded."""
    from edgesim.strategy import discover_all

    rows: Rows = [("strategy", "option", "default", "values", "meaning")]
    for name, found in discover_all().items():
        if isinstance(found, InputError):
            continue
        schema = found.model_json_schema(by_alias=True)
        for option, value in schema["properties"].items():
            default = value.get("default")
            shown = "required" if option in schema.get("required", ()) else _plain(default)
            meaning = " ".join(str(value.get("description", "")).split())
            rows.append((name, option, shown, ", ".join(_words(value, schema)), meaning))
    return rows


def _partitions() -> Rows:
    """List how strategies may cut a model's blocks: the words of their option `partition`."""
    from edgesim.planning.cutting import PARTITIONS
    from edgesim.plugins import discover_all as entries_of
    from edgesim.plugins import first_line
    from edgesim.strategy import discover_all

    known = entries_of(PARTITIONS)

    rows: Rows = [("partition", "strategy", "how blocks are cut")]
    for name, found in discover_all().items():
        if isinstance(found, InputError) or "partition" not in found.model_fields:
            continue
        schema = found.model_json_schema(by_alias=True)
        value = schema["properties"]["partition"]
        for word in _words(value, schema):
            entry = known.get(word)
            if isinstance(entry, InputError):
                said = f"cannot be loaded: {entry}"
            else:
                said = _said_of(word, value.get("description", "")) if entry is None else first_line(entry)
            rows.append((word, name, said))
    return rows


def _said_of(word: str, description: str) -> str:
    """Find what an option's description says of one of its words, in brackets after it."""
    found = re.search(rf"(?<![\w-]){re.escape(word)} \((?P<said>[^()]*)\)", description)
    return found["said"] if found else ""


def _words(value: Schema, root: Schema) -> Iterator[str]:
    """Yield the words that a value may be, as its JSON Schema has them."""
    if "$ref" in value and "$defs" in root:
        yield from _words(root["$defs"][value["$ref"].rsplit("/", 1)[1]], root)
    yield from (each for each in (*value.get("enum", ()), value.get("const")) if isinstance(each, str))
    for alternative in value.get("anyOf", ()):
        yield from _words(alternative, root)


def _readers() -> Rows:
    """List the formats of recorded requests."""
    from edgesim.plugins import discover_all as entries_of
    from edgesim.workload.readers.detect import READERS

    rows: Rows = [("reader", "format", "known by", "instants", "remark")]
    for name, entry in entries_of(READERS).items():
        if isinstance(entry, InputError):
            rows.append((name, "–", "–", "–", f"cannot be loaded: {entry}"))
        else:
            rows.append((name, entry.name, entry.looks_like, entry.time_unit or "none", entry.remark))
    return rows


def _choices(name: str, choice: Callable[[], type[Choice]]) -> Callable[[], Rows]:
    """List the alternatives of a choice in a scenario."""

    def rows() -> Rows:
        from edgesim.scenario.text.section import known_keys

        return [(name, "what it is"), *known_keys(choice()).items()]

    return rows


def _open_choices(name: str, choice: Callable[[], type[OpenChoice[Any]]]) -> Callable[[], Rows]:
    """List the alternatives of a choice among a group's entries, those of installed packages too."""

    def rows() -> Rows:
        from edgesim import plugins

        found = plugins.discover_all(choice().group)
        rows: Rows = [(name, "options", "what it is")]
        for word in choice().names():
            entry = found[word]
            if isinstance(entry, InputError):
                rows.append((word, "–", f"cannot be loaded: {entry}"))
            else:
                fields = choice().alternative(entry).model_fields.items()
                options = [field.alias or key for key, field in fields]
                rows.append((word, ", ".join(options) or "–", plugins.first_line(entry)))
        return rows

    return rows


def _arrivals() -> type[OpenChoice[Any]]:
    from edgesim.scenario.schema.workload import ArrivalsChoice

    return ArrivalsChoice


def _lengths() -> type[Choice]:
    from edgesim.scenario.schema.workload import LengthsChoice

    return LengthsChoice


def _think() -> type[Choice]:
    from edgesim.scenario.schema.workload import ThinkChoice

    return ThinkChoice


def _serving() -> type[OpenChoice[Any]]:
    from edgesim.scenario.schema.serving import ServingChoice

    return ServingChoice


def _service() -> type[Choice]:
    from edgesim.scenario.schema.service import ServiceChoice

    return ServiceChoice


def _mobility() -> type[Choice]:
    from edgesim.scenario.schema.mobility import MobilityChoice

    return MobilityChoice


def _fading() -> type[Choice]:
    from edgesim.scenario.schema.radio import LawChoice

    return LawChoice


def _adaptation() -> type[OpenChoice[Any]]:
    from edgesim.scenario.schema.adaptation import AdaptationChoice

    return AdaptationChoice


def _path_loss() -> Rows:
    from edgesim.radio.channel.path_loss.environments import PATH_LOSSES

    rows: Rows = [("path loss", "what it is")]
    return rows + [(name, (made.__doc__ or "").partition("\n")[0]) for name, made in PATH_LOSSES.items()]


def _metrics() -> Rows:
    from edgesim.statistics.metric import METRICS

    better = {True: "less", False: "more", None: "–"}
    rows: Rows = [("metric", "unit", "better", "what it is")]
    rows += [(name, one.unit, better[one.is_better_low], one.meaning) for name, one in METRICS.items()]
    return rows + [(name, "–", "–", f"cannot be loaded: {why}") for name, why in METRICS.broken.items()]


def _units() -> Rows:
    from edgesim.units import DIMENSIONS

    rows: Rows = [("quantity", "example", "units")]
    return rows + [(d.name.split(" ", 1)[1], d.example, ", ".join(d.units)) for d in DIMENSIONS]


def _columns() -> Rows:
    from edgesim.trace.schema import TABLES

    rows: Rows = [("table", "column", "what it is")]
    return rows + [(table, each.name, each.meaning) for table, columns in TABLES.items() for each in columns]


def _keywords() -> Rows:
    """List every key of a scenario whose value is one of some words."""
    from edgesim.scenario.schema.scenario import Scenario

    root = Scenario.model_json_schema(by_alias=True)
    rows: Rows = [("where", "key", "words", "meaning")]
    for title, section in {"the file": root, **root["$defs"]}.items():
        for key, value in section.get("properties", {}).items():
            if words := list(dict.fromkeys(_words(value, {}))):
                meaning = " ".join(str(value.get("description", "")).split())
                rows.append((section.get("title", title), key, ", ".join(words), meaning))
    return rows


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "–" if value is None or value in ("", [], ()) else str(value)


ROWS: Mapping[str, tuple[Callable[[], Rows], str]] = MappingProxyType(
    {
        "options": (_options, "Options of every strategy."),
        "partitions": (_partitions, "Ways to cut a model's blocks."),
        "readers": (_readers, "Formats of recorded requests, read by their contents or by these names."),
        "path-loss": (_path_loss, "Propagation models of radio links."),
        "fading": (_choices("fading", _fading), "Laws of small-scale fading."),
        "adaptation": (
            _open_choices("adaptation", _adaptation),
            "Ways from a radio's ratio to rates and errors.",
        ),
        "mobility": (_choices("mobility", _mobility), "Ways in which devices move."),
        "arrivals": (_open_choices("arrivals", _arrivals), "Arrival processes."),
        "lengths": (_choices("lengths", _lengths), "Laws of the lengths of prompts and answers."),
        "think": (_choices("think", _think), "Laws of the time that a user thinks."),
        "serving": (_open_choices("serving", _serving), "Ways in which a device serves several requests."),
        "service": (_choices("service", _service), "Laws of service times."),
        "keywords": (_keywords, "Keys of a scenario that take one of some words (access, connect, ...)."),
        "units": (_units, "Units that quantities are written in."),
        "metrics": (_metrics, "Metrics, by their names in JSON, in tables for programs and in Python."),
        "columns": (_columns, "Columns of a trace."),
    }
)
"""What can be listed as rows, each with what it is."""

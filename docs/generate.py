"""Fills the reference pages from the code, while mkdocs builds them.

A page holds a line such as ``<!-- generated: trace requests -->``; it is replaced by what the code says
today. A marker that nothing answers to, or a part that says nothing, fails the build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

__all__ = ["on_page_content", "on_page_markdown"]

ROOT = Path(__file__).resolve().parents[1]

MARKER = re.compile(r"^<!-- generated: (?P<part>[a-z-]+)(?: (?P<argument>\S+))? -->$", re.MULTILINE)
# Mappings that get no section of their own, by the beginning of their titles.
SHOWN_IN_LINE = {"Figure": "{value, source, estimate}", "UpDown": "{up, down}"}
# Docstrings name Python objects in reStructuredText roles; the page shows the name alone.
ROLE = re.compile(r":(?:py:)?(?:class|data|func|math|meth|mod):(?=<code>)")
# Their tables and formulas are laid out by hand, and stay so.
LAID_OUT = re.compile(r"<p>(?:\.\. math::\s*|(?====))(?P<text>.*?)</p>", re.DOTALL)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace every marker of a page."""
    return MARKER.sub(lambda found: PARTS[found["part"]](found["argument"] or ""), markdown)


def on_page_content(html: str, **_: object) -> str:
    """Show docstrings as they are meant: no role before a name, tables and formulas as laid out."""
    html = LAID_OUT.sub(lambda found: f"<pre>{found['text']}</pre>", html)
    return ROLE.sub("", html)


def table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def trace_columns(name: str) -> str:
    from edgesim.trace.schema import ALL_TABLES

    def type_name(arrow_type: object) -> str:
        return "string" if "dictionary" in str(arrow_type) else str(arrow_type)

    columns = ALL_TABLES[name]
    rows = ((f"`{c.name}`", type_name(c.type), "yes" if c.nullable else "", c.meaning) for c in columns)
    return table(("column", "type", "may be null", "meaning"), rows)


def units(_: str) -> str:
    from edgesim.units import DIMENSIONS

    rows = (
        (d.name.split(" ", 1)[1], f"`{d.example}`", ", ".join(f"`{unit}`" for unit in d.units))
        for d in DIMENSIONS
    )
    return table(("quantity", "example", "units"), rows)


def metrics(_: str) -> str:
    from edgesim import plugins
    from edgesim.statistics.metric import METRIC_GROUP, METRICS

    better = {True: "less", False: "more", None: ""}
    entries = (plugins.load(METRIC_GROUP, name) for name in plugins.own_names(METRIC_GROUP))
    own = {metric.name for entry in entries for metric in entry.metrics}
    rows = (
        (f"`{name}`", one.unit, better[one.is_better_low], one.meaning)
        for name, one in METRICS.items()
        if name in own
    )
    return table(("metric", "unit", "better", "meaning"), rows)


Schema = dict[str, Any]


def scenario(_: str) -> str:
    """Describe every section of a scenario, from the JSON Schema that editors get."""
    from edgesim.scenario.schema.scenario import Scenario

    root = Scenario.model_json_schema(by_alias=True)
    return "\n\n".join(sections(root, root, "", described={}))


def sections(schema: Schema, root: Schema, path: str, described: dict[str, str]) -> Iterator[str]:
    """Yield one section of the page per mapping of the file, parents before children."""
    rows = []
    children = []
    for key, value in schema["properties"].items():
        *row, about = key_row(key, schema, root)
        child = mapping_of(value, root)
        if child is not None and not child["title"].startswith(tuple(SHOWN_IN_LINE)):
            child_path = f"{path}.{key}" if path else key
            first_path = described.setdefault(child["title"], child_path)
            if first_path == child_path:
                children.append((child_path, value, child))
            else:
                about += f" As `{first_path}`."
        rows.append((*row, about))
    yield f"## {f'`{path}`' if path else 'The file'}\n\n{schema.get('description', '')}"
    yield table(("key", "value", "default", "meaning"), iter(rows))
    for child_path, value, child in children:
        suffix = "[]" if "array" in kinds_of(value) else ".<name>" if "patternProperties" in value else ""
        yield from sections(child, root, child_path + suffix, described)


def alternatives(value: Schema, root: Schema) -> Iterator[Schema]:
    """Yield what a value may be, references followed."""
    if "$ref" in value:
        yield from alternatives(root["$defs"][value["$ref"].rsplit("/", 1)[1]], root)
    elif "anyOf" in value:
        for alternative in value["anyOf"]:
            yield from alternatives(alternative, root)
    else:
        yield value


def kinds_of(value: Schema) -> set[str]:
    return {alternative.get("type", "") for alternative in value.get("anyOf", [value])}


def mapping_of(value: Schema, root: Schema) -> Schema | None:
    """Find the mapping that a value is, holds in a list, or holds under names; None for a plain value."""
    for alternative in alternatives(value, root):
        inner = alternative.get("items") or next(
            iter(alternative.get("patternProperties", {}).values()), None
        )
        if inner is not None:
            return mapping_of(inner, root)
        if "properties" in alternative:
            return alternative
    return None


def form(value: Schema, root: Schema) -> str:
    """Say what is written there: a unit's example, a choice of words, a kind of number."""
    forms = []
    for one in alternatives(value, root):
        match one:
            case {"enum": words}:
                forms.append(", ".join(f"`{word}`" for word in words))
            case {"const": word}:
                forms.append(f"`{word}`")
            case {"examples": examples, "pattern": _}:
                forms.append(f"such as `{examples[0]}`")
            case {"examples": examples}:
                forms.append(" or ".join(f"`{example}`" for example in examples))
            case {"type": "array", "items": items}:
                forms.append(f"list of: {form(items, root)}")
            case {"type": "array", "prefixItems": items}:
                forms.append("[" + ", ".join(form(item, root) for item in items) + "]")
            case {"title": title} if title.startswith(tuple(SHOWN_IN_LINE)):
                forms.append(next(keys for start, keys in SHOWN_IN_LINE.items() if title.startswith(start)))
            case {"properties": _} | {"patternProperties": _}:
                forms.append("mapping")
            case {"type": "null"}:
                pass
            case {"type": plain}:
                forms.append(
                    {"integer": "whole number", "boolean": "true or false", "string": "text"}.get(
                        plain, plain
                    )
                )
    return ", or ".join(dict.fromkeys(forms))


def key_row(key: str, schema: Schema, root: Schema) -> tuple[str, str, str, str]:
    """Describe one key of a mapping: its name, what is written there, its default, its meaning."""
    value = schema["properties"][key]
    default = "required" if key in schema.get("required", []) else default_of(value)
    return f"`{key}`", form(value, root), default, meaning(value, root)


def default_of(value: Schema) -> str:
    from edgesim.units import DIMENSIONS

    default = value.get("default")
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str | int | float) and default != "":
        unit = next((d.base_unit for d in DIMENSIONS if d.example in value.get("examples", ())), "")
        text = f"{default:g} {unit}" if unit and not isinstance(default, str) else f"{default}"
        return f"`{text}`" if default != 0.0 else "0"
    return ""


def meaning(value: Schema, root: Schema) -> str:
    """Take the key's own description, or that of what it refers to, in one line."""
    text = value.get("description")
    if text is None:
        text = next((one["description"] for one in alternatives(value, root) if "description" in one), "")
    return " ".join(text.split("\n\n")[0].split())


def strategies(_: str) -> str:
    """Describe the options of every strategy that edgesim ships."""
    from edgesim.strategy import discover

    parts = []
    for name, found in discover().items():
        if not found.__module__.startswith("edgesim."):
            continue  # somebody's plug-in in this environment
        schema = found.model_json_schema(by_alias=True)
        rows = [key_row(key, schema, schema) for key in schema["properties"]]
        parts.append(f"### `{name}`\n\n{schema.get('description', '')}")
        parts.append(table(("option", "value", "default", "meaning"), iter(rows)) if rows else "No options.")
    return "\n\n".join(parts)


def cli(_: str) -> str:
    """Show every command's help: arguments and options in the order of the terminal's."""
    from typer.main import get_command

    from edgesim.cli import app

    parts = []
    for name, command in commands(get_command(app), ""):
        context = command.context_class(command, info_name=f"edgesim {name}")
        parts.append(
            f"## `edgesim {name}`\n\n```text\n{command.get_usage(context)}\n```\n\n{command.help or ''}"
        )
        records = (parameter.get_help_record(context) for parameter in command.params)
        rows = [(f"`{name}`", meaning) for name, meaning in filter(None, records)]
        parts.append(table(("argument or option", "meaning"), iter(rows)))
    return "\n\n".join(parts)


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the commands of a group in the order of its help, those of its own groups in their place."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def devices(_: str) -> str:
    """Show every figure of every device kind, with its source."""
    from edgesim.scenario.catalogue import device_kinds

    parts = []
    for name, kind in device_kinds().items():
        rows = []
        for path, figure in figures(kind, ""):
            # The text as it stands in the catalogue: value, then where it comes from.
            estimate = " *Est.*" if figure.estimate else ""
            rows.append((f"`{path}`", quantity(figure.value, path), figure.source + estimate))
        parts.append(f"### `{name}`\n\n{kind.description}")
        parts.append(table(("figure", "value", "source"), iter(rows)))
    return "\n\n".join(parts)


def figures(section: BaseModel, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every sourced figure of a device kind with its key in YAML."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        key = f"{path}{field.alias or name}"
        if hasattr(value, "source"):
            yield key, value
        elif isinstance(value, BaseModel):
            yield from figures(value, f"{key}.")


def quantity(value: float, path: str) -> str:
    """Write an SI number with a prefix; which unit it has, its key in the catalogue says."""
    units = {
        "memory": "B",
        "process_memory": "B",
        "memory_bandwidth": "B/s",
        "staging": "B/s",
        "compute": "FLOP/s",
        "overhead_per_call": "s",
        "eager_call": "s",
        "vector": "FLOP/s",
        "matrix": "FLOP/s",
        "overhead": "s",
        "power": "W",
    }
    keys = path.split(".")
    unit = next(units[key] for key in (keys[-1], keys[0]) if key in units)
    if value == 0:
        return f"0 {unit}"
    prefixes = {12: "T", 9: "G", 6: "M", 3: "k", 0: "", -3: "m", -6: "µ"}
    exponent = max((e for e in prefixes if abs(value) >= 10.0**e), default=-6)
    return f"{value / 10.0**exponent:.4g} {prefixes[exponent]}{unit}"


def radios(_: str) -> str:
    """Show every figure of every radio, with its source."""
    from edgesim.scenario.catalogue import radio_kinds

    parts = []
    for name, kind in radio_kinds().items():
        rows = [
            (f"`{path}`", radio_quantity(figure.value, path), figure.source + " *Est.*" * figure.estimate)
            for path, figure in figures(kind, "")
        ]
        propagation = kind.propagation.model
        if kind.propagation.variant:
            propagation += f" ({kind.propagation.variant})"
        parts.append(
            f"### `{name}`\n\n{kind.description}. Propagation `{propagation}`, access `{kind.access}`."
        )
        parts.append(table(("figure", "value", "source"), iter(rows)))
    return "\n\n".join(parts)


def radio_quantity(value: float | str, path: str) -> str:
    """Write a radio's figure with its unit; which one, its key in the catalogue says."""
    if isinstance(value, str):
        return value
    units = {"power": "dBm", "gain": "dBi", "noise_figure": "dB", "height": "m"}
    scaled = {"carrier": (1e9, "GHz"), "bandwidth": (1e6, "MHz"), "latency": (1e-3, "ms")}
    key = path.split(".")[-1]
    if key in units:
        return f"{value:g} {units[key]}"
    size, unit = scaled.get(key, (1e3, "kHz"))
    return f"{value / size:g} {unit}"


def runtimes(_: str) -> str:
    """Show what every engine is fitted to reach, with 90 % of the set."""
    import numpy as np

    from edgesim.model.efficiency.stored import shipped_posterior
    from edgesim.scenario.catalogue import device_kinds
    from edgesim.scenario.catalogue import runtimes as catalogue
    from edgesim.scenario.runtimes import use_of

    def number(value: float) -> str:
        return f"{value:.0f}" if value >= 10 else f"{value:.2g}"

    def share(values: Any) -> str:
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        return f"{number(middle)} ({number(low)} to {number(high)})"

    rows = []
    for name, engine in catalogue().items():
        for board in ("rtx-3090", "raspberry-pi-5"):
            peaks = device_kinds()[board].peak_values(board)
            rng = np.random.default_rng(1)
            quantised, plain = (
                shipped_posterior().shares(use_of(name, engine, peaks, stored), rng) for stored in (0.5, 2.0)
            )
            rows.append(
                (
                    f"`{name}`",
                    engine.description,
                    board,
                    share(quantised.vector_share),
                    share(plain.vector_share),
                    f"{share(1e6 * plain.overhead_s)}",
                    share(plain.head_cost),
                    engine.source,
                )
            )
    weights = ("vector, 4 to 8 bits", "vector, float")
    header = ("runtime", "what it is", "on", *weights, "call [us]", "head", "source")
    return table(header, iter(rows))


def models(_: str) -> str:
    """Show every model's shape, with its source."""
    from edgesim.scenario.catalogue import models as catalogue

    rows = []
    for name, kind in catalogue().items():
        shape = kind.architecture("bfloat16")
        rows.append(
            (
                f"`{name}`",
                kind.description,
                f"{shape.n_blocks} × {shape.hidden_size}",
                f"{shape.n_heads} / {shape.n_kv_heads}",
                f"{shape.n_parameters / 1e6:,.0f} M",
                str(shape.max_context),
                kind.source + (" *Est.*" if kind.estimate else ""),
            )
        )
    header = ("model", "what it is", "blocks × width", "heads / KV heads", "parameters", "context", "source")
    return table(header, iter(rows))


def profiles(_: str) -> str:
    """Show every shipped profile with the machine that it was measured on."""
    from edgesim.model.shipped import shipped_profiles

    def counts(values: tuple[int, ...]) -> str:
        return ", ".join(map(str, values)) or "–"

    rows = (
        (
            f"`{name}`",
            one.measured_on + (f" ({one.kind})" if one.kind else ""),
            f"{one.threads} ({one.device})",
            f"{one.max_prompt} / {one.max_context}",
            f"{counts(one.batches)} / {counts(one.prefill_batches)}",
            counts(one.shards),
            f"{one.median_error:.1%} / {one.p95_error:.1%}",
            one.measured_at[:10],
            ", ".join(f"{package} {version}" for package, version in one.versions.items()),
        )
        for name, one in shipped_profiles().items()
    )
    header = (
        "profile",
        "measured on",
        "threads",
        "longest prompt / context",
        "batches: decode / prefill",
        "shards",
        "held-out error: median / p95",
        "date",
        "versions",
    )
    return table(header, rows)


def file(name: str) -> str:
    """Show a file of the repository."""
    language = {".py": "python", ".yaml": "yaml", ".toml": "toml"}[Path(name).suffix]
    return f"```{language}\n{(ROOT / name).read_text(encoding='utf-8').strip()}\n```"


PARTS: dict[str, Callable[[str], str]] = {
    "file": file,
    "trace": trace_columns,
    "units": units,
    "metrics": metrics,
    "scenario": scenario,
    "cli": cli,
    "devices": devices,
    "models": models,
    "radios": radios,
    "runtimes": runtimes,
    "profiles": profiles,
    "strategies": strategies,
}

"""Publications to cite for a scenario, as BibTeX: edgesim, strategies, model, device kinds, radios, times.

The entries are in ``data/references.bib``. ``data/citations.yaml`` maps strategies to entries, and patterns
in the sources of the catalogue's figures to entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML

from edgesim.scenario.build import kinds_used
from edgesim.scenario.catalogue import models, radio_kind
from edgesim.scenario.schema.device_kinds import Figure
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.strategy_labels import strategies_by_label
from edgesim.strategy import Strategy

__all__ = ["Cited", "bibtex", "citations", "keys_in", "references", "rules", "sources_of"]

_ENTRY = re.compile(r"^@(?P<type>\w+)\{(?P<key>[^,\s]+),$.*?^\}$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cited:
    """The publications on which a scenario is based.

    Attributes
    ----------
    reasons
        By key of the BibTeX entry, the parts of the scenario based on it: ``strategy pipeline-latency``,
        ``radio nr-n78``.
    unsourced
        Parts of the scenario without a known publication, each with the reason.
    """

    reasons: Mapping[str, tuple[str, ...]]
    unsourced: tuple[str, ...]


@cache
def references() -> Mapping[str, str]:
    """Return all BibTeX entries by key."""
    text = files("edgesim").joinpath("data/references.bib").read_text(encoding="utf-8")
    return {found["key"]: found[0] for found in _ENTRY.finditer(text)}


@cache
def rules() -> Mapping[str, Any]:
    """Return the rules that map parts of a scenario to BibTeX keys."""
    text = files("edgesim").joinpath("data/citations.yaml").read_text(encoding="utf-8")
    stated: Mapping[str, Any] = YAML(typ="safe", pure=True).load(text)
    return stated


def citations(scenario: Scenario) -> Cited:
    """Find the publications on which a scenario is based.

    A figure of the catalogue cites the publications named in its source. Strategies of plug-ins, models from
    folders and estimated figures have no publication here and are listed as unsourced.
    """
    found: dict[str, list[str]] = {"edgesim": ["the simulator"]}
    unsourced: list[str] = []
    for part, keys, why_none in _parts(scenario):
        for key in keys:
            reasons = found.setdefault(key, [])
            if part not in reasons:
                reasons.append(part)
        if not keys and why_none:
            unsourced.append(f"{part}: {why_none}")
    in_order = {key: tuple(found[key]) for key in references() if key in found}
    return Cited(in_order, tuple(dict.fromkeys(unsourced)))


def bibtex(cited: Cited) -> str:
    """Write the entries, each below the parts based on it; then the unsourced parts, as comments."""
    parts = [f"% {', '.join(reasons)}\n{references()[key]}\n" for key, reasons in cited.reasons.items()]
    parts += [f"% no publication: {line}\n" for line in cited.unsourced]
    return "\n".join(parts)


def keys_in(sources: Iterable[str]) -> tuple[str, ...]:
    """Find the keys of the entries named in texts such as ``TR 38.901 table 7.2-1: UMi``, in file order."""
    texts = list(sources)
    return tuple(
        dict.fromkeys(
            key for words, key in rules()["sources"].items() if any(re.search(words, text) for text in texts)
        )
    )


def sources_of(section: BaseModel) -> Iterator[str]:
    """Yield the sources of all figures of a device kind or radio."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Figure):
            yield value.source
        elif isinstance(value, BaseModel):
            yield from sources_of(value)


def _parts(scenario: Scenario) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield each part of a scenario, the keys of its publications, and the reason if there are none."""
    for entry, (label, strategy) in zip(
        scenario.strategies, strategies_by_label(scenario).items(), strict=True
    ):
        yield f"strategy {label}", _of_strategy(entry.use, strategy), _why_not(entry.use, strategy)
    name = scenario.model.architecture
    if name in models():
        yield f"model {name}", keys_in([models()[name].source]), models()[name].source
    else:
        yield f"model {name}", (), "not in the catalogue; cite its authors"
    for kind_name, kind in kinds_used(scenario).items():
        sources = tuple(dict.fromkeys(" ".join(text.split()) for text in sources_of(kind) if text.strip()))
        if not {kind_name, kind_name.rpartition(" (")[0]}.isdisjoint(scenario.kinds):
            why = f"defined in this scenario; its sources: {'; '.join(sources) or 'none given'}"
        else:
            why = "its figures are estimates (edgesim list devices)"
        yield f"device {kind_name}", keys_in(sources), why
    for link in scenario.topology.links:
        if link.radio is not None:
            radio = radio_kind(link.radio.use)
            keys = (*keys_in(sources_of(radio)), *rules()["air"].get(radio.air, ()))
            yield f"radio {link.radio.use}", keys, ""
            model = (link.propagation or radio.propagation).model
            yield f"propagation {model}", tuple(rules()["propagation"][model]), ""
    if scenario.profile.use != "analytic":
        yield "measured compute times", tuple(rules()["compute"]["measured"]), ""
    yield "compute times of other devices", tuple(rules()["compute"]["scaled"]), ""


def _of_strategy(use: str, strategy: Strategy) -> tuple[str, ...]:
    keys: list[str] = []
    for rule in rules()["strategies"].get(use, ()) if _is_own(strategy) else ():
        when = rule.get("when", {})
        if all(getattr(strategy, option) in values for option, values in when.items()):
            keys += rule["cite"]
    return tuple(keys)


def _why_not(use: str, strategy: Strategy) -> str:
    if _is_own(strategy):
        return "a plain baseline"
    return f"'{use}' comes from {type(strategy).__module__.partition('.')[0]}; cite its authors"


def _is_own(strategy: Strategy) -> bool:
    return type(strategy).__module__.startswith("edgesim.strategies.")

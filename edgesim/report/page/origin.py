"""Provenance of a page's numbers: the scenario, versions, and machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["Origin", "origin"]


class Origin:
    """Provenance of a page: pairs of facts, and longer texts.

    Parameters
    ----------
    facts
        Names and values, in the order of display.
    texts
        Titles and texts, shown verbatim: the scenario, the options of the strategies, and the placements.
    """

    def __init__(self, facts: list[tuple[str, str]], texts: list[tuple[str, str]]) -> None:
        self.facts = facts
        self.texts = texts


def origin(record: Mapping[str, Any], folder: str) -> Origin:
    """Collect the provenance from ``run.json`` or ``sweep.json``; missing facts are left out."""
    scenario = _mapping(record.get("scenario"))
    machine, versions, git = (_mapping(record.get(name)) for name in ("machine", "versions", "git"))
    model, profile = _mapping(record.get("model")), _mapping(record.get("profile"))
    facts = {
        "Folder": folder,
        "Scenario file": scenario.get("file"),
        "Scenario digest (SHA-256)": scenario.get("digest"),
        "Seed": record.get("seed"),
        "Replications": record.get("replications"),
        "Horizon": _seconds(record.get("horizon_s")),
        "Warm-up": _seconds(record.get("warmup_s")),
        "Cool-down": _seconds(record.get("cooldown_s")),
        "Changed by": ", ".join(map(str, record.get("edited") or [])) or None,
        "Model": " ".join(str(model[name]) for name in ("name", "dtype", "quantisation") if model.get(name)),
        "Model digest (SHA-256)": model.get("digest"),
        "Profile": ", ".join(f"{name}: {value}" for name, value in profile.items() if _is_plain(value))
        or None,
        "Simulation time": _seconds(record.get("simulating_took_s")),
        "Machine": ", ".join(f"{name}: {value}" for name, value in machine.items()),
        "Versions": ", ".join(f"{name} {value}" for name, value in versions.items()),
        "Revision": git.get("revision")
        and f"{git['revision']}{' (with changes)' if git.get('is_dirty') else ''}",
        "Status": record.get("status"),
    }
    texts = []
    if scenario.get("text"):
        texts.append(("Scenario", str(scenario["text"])))
    options = _mapping(record.get("options"))
    if options:
        texts.append(("Options of strategies, defaults filled in", json.dumps(options, indent=2)))
    placements = _mapping(record.get("placements"))
    if placements:
        texts.append(("Placements", _placements(placements)))
    return Origin([(name, str(value)) for name, value in facts.items() if value not in (None, "")], texts)


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _seconds(value: object) -> str | None:
    return f"{value:g} s" if isinstance(value, int | float) else None


def _placements(placements: Mapping[str, Any]) -> str:
    lines = []
    for strategy, stages in placements.items():
        lines.append(f"{strategy}:")
        lines += [
            f"  {stage.get('device')}: {stage.get('holds')}" for stage in stages if isinstance(stage, Mapping)
        ]
    return "\n".join(lines)

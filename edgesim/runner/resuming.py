"""Resuming of an unfinished run: complete parts are kept if nothing else has changed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgesim.errors import TraceError
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder

__all__ = ["check_unchanged", "complete_runs", "differences"]

# Facts that can differ between two parts of one run: where and when they ran, and how they ended.
_LEFT_OUT = ("schema_version", "status", "simulating_took_s", "machine")
_DIGESTED = (
    "scenario",
    "profile",
    "model",
)  # compared by digest only, as their other facts give their origin
_N_SHOWN = 3


def complete_runs(
    folder: TraceFolder, now: Mapping[str, object], asked: Collection[tuple[str, int]]
) -> set[tuple[str, int]]:
    """Remove incomplete runs from an earlier trace; return strategy and replication of the complete ones.

    Parameters
    ----------
    folder
        Locked folder of the trace, so that no other process writes there.
    now
        Facts of the requested run, as written to ``run.json``.
    asked
        Strategy and replication of every run of the study.

    Raises
    ------
    TraceError
        If there is no trace, or one of another study; the message names the differences.
    """
    check_unchanged(folder.path, Trace(folder.path).run, now)
    return folder.keep_whole(asked)


def check_unchanged(path: Path, before: Mapping[str, object], now: Mapping[str, object]) -> None:
    """Refuse to resume a run of another study.

    Raises
    ------
    TraceError
        Naming what differs.
    """
    found = differences(before, now)
    if found:
        more = f" and {len(found) - _N_SHOWN} more" if len(found) > _N_SHOWN else ""
        raise TraceError(
            f"{path}: cannot be resumed, as this study differs from the one that was started: "
            f"{'; '.join(found[:_N_SHOWN])}{more}; restore it, or run into another folder"
        )


def differences(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Return the differences between the facts of two runs, one message for each."""
    one, other = _comparable(before), _comparable(json.loads(json.dumps(now)))
    return list(_differ("", one, other))


def _comparable(facts: Mapping[str, object]) -> dict[str, Any]:
    kept = {name: value for name, value in facts.items() if name not in _LEFT_OUT}
    for name in _DIGESTED:
        value = kept.get(name)
        if isinstance(value, dict) and "digest" in value:
            kept[name] = {"digest": value["digest"]}
    git = kept.pop("git", None)
    kept["git"] = {"revision": git["revision"]} if isinstance(git, dict) and "revision" in git else git
    return kept


def _differ(where: str, one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            yield from _differ(f"{where}.{name}" if where else str(name), one.get(name), other.get(name))
    elif one != other:
        yield f"{where} was {_shown(one)}, and is now {_shown(other)}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 40 else f"{text[:37]}..."

"""Going on with a run that did not come to its end: what is whole stays, if all else is as it was."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgesim.errors import TraceError
from edgesim.trace.reader import Trace
from edgesim.trace.writer import TraceFolder

__all__ = ["check_unchanged", "differences", "whole_runs"]

# What may differ between two parts of one run: where and when they ran, and how they ended.
_LEFT_OUT = ("schema_version", "status", "simulating_took_s", "machine")
_DIGESTED = ("scenario", "profile", "model")  # beside their digests these say where they come from
_N_SHOWN = 3


def whole_runs(
    folder: TraceFolder, now: Mapping[str, object], asked: Collection[tuple[str, int]]
) -> set[tuple[str, int]]:
    """Clear the folder of an earlier run of what is not whole; strategy and replication of what is.

    Parameters
    ----------
    folder
        Held, so that no other process writes there.
    now
        What ``run.json`` would say of the run that is asked for.
    asked
        Strategy and replication of every run that belongs to it.

    Raises
    ------
    TraceError
        If there is no trace, or one of something else: it says what differs.
    """
    check_unchanged(folder.path, Trace(folder.path).run, now)
    return folder.keep_whole(asked)


def check_unchanged(path: Path, before: Mapping[str, object], now: Mapping[str, object]) -> None:
    """Refuse to go on with a run of something else.

    Raises
    ------
    TraceError
        Naming what differs.
    """
    found = differences(before, now)
    if found:
        more = f" and {len(found) - _N_SHOWN} more" if len(found) > _N_SHOWN else ""
        raise TraceError(
            f"{path}: cannot be resumed, for what is asked is not what was begun: "
            f"{'; '.join(found[:_N_SHOWN])}{more}; restore that, or run it anew into another folder"
        )


def differences(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """What two runs' facts say differently, one sentence for each."""
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
        yield f"{where} was {_shown(one)}, and is {_shown(other)}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 40 else f"{text[:37]}..."

"""Conversion of a scenario's ``workload`` section to the demand of a study."""

from __future__ import annotations

from pathlib import Path

from edgesim.files import user_path
from edgesim.scenario.schema.workload import LengthsChoice, TraceEntry, WorkloadEntry
from edgesim.workload.closed import ClosedLoop
from edgesim.workload.lengths import Lengths
from edgesim.workload.readers.detect import detect, named_format
from edgesim.workload.readers.own_columns import own_format
from edgesim.workload.readers.record import Format
from edgesim.workload.readers.text import CHARS_PER_TOKEN, Estimated, Tokenized
from edgesim.workload.replay import Replay
from edgesim.workload.requests import Demand, Workload
from edgesim.workload.sessions import Sessions
from edgesim.workload.think import FixedThink

__all__ = ["demand"]


def demand(
    entry: WorkloadEntry,
    *,
    sources: tuple[str, ...],
    horizon_s: float | None,
    folder: Path,
    weights: tuple[float, ...] = (),
) -> Demand:
    """Return the workload that a scenario describes.

    Parameters
    ----------
    sources
        Devices that generate requests.
    weights
        Relative frequency of requests from each source; all equal if empty.
    horizon_s
        End of a replication [s]; None if it ends with the workload.
    folder
        Folder in which relative paths start.

    Raises
    ------
    InputError
        If a file cannot be read, or the options do not fit its format.
    """
    if entry.trace is not None:
        return _replay(entry, entry.trace, sources, horizon_s, folder, weights)
    prompt_tokens, output_tokens = _law(entry.prompt_tokens), _law(entry.output_tokens)
    if entry.users is not None:
        return ClosedLoop(
            n_users=entry.users.count,
            think=FixedThink() if entry.users.think is None else entry.users.think.law(),
            stagger_s=entry.users.stagger_s,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            sources=sources,
            horizon_s=horizon_s,
            n_requests=entry.requests,
        )
    assert entry.arrivals is not None, "an entry has arrivals, users or a trace"
    if entry.sessions is not None:
        return Sessions(
            arrivals=entry.arrivals.law(),
            turns=entry.sessions.turns.law(),
            think=entry.sessions.think.law(),
            max_history_tokens=entry.sessions.max_history,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            sources=sources,
            weights=weights,
            horizon_s=horizon_s,
            n_requests=entry.requests,
        )
    return Workload(
        arrivals=entry.arrivals.law(),
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        sources=sources,
        weights=weights,
        horizon_s=horizon_s,
        n_requests=entry.requests,
    )


def _law(entry: LengthsChoice | None) -> Lengths:
    assert entry is not None, "an entry without a trace has lengths"
    return entry.law()


def _format(trace: TraceEntry, path: Path) -> Format:
    if trace.columns is not None:
        return own_format(path, trace.columns.columns())
    return detect(path) if trace.format is None else named_format(trace.format)


def _replay(
    entry: WorkloadEntry,
    trace: TraceEntry,
    sources: tuple[str, ...],
    horizon_s: float | None,
    folder: Path,
    weights: tuple[float, ...],
) -> Replay:
    path = user_path(folder, trace.file)
    text_length: Estimated | Tokenized = Estimated(trace.chars_per_token or CHARS_PER_TOKEN)
    if trace.tokenizer is not None:
        text_length = Tokenized(user_path(folder, trace.tokenizer))
    return Replay(
        path=path,
        format=_format(trace, path),
        selection=trace.selection(),
        text_length=text_length,
        arrivals=None if entry.arrivals is None else entry.arrivals.law(),
        think=None if trace.think is None else trace.think.law(),
        sources=sources,
        weights=weights,
        horizon_s=horizon_s,
        n_requests=entry.requests,
    )

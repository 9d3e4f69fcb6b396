"""Selection of the replayed part of a trace: a window, a time scale, and a policy for too long requests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from edgesim.errors import InputError
from edgesim.units import TIME
from edgesim.workload.readers.record import Record, refuse

__all__ = ["Counts", "Picked", "ReplayedTurn", "Selection"]


class ReplayedTurn(NamedTuple):
    """One replayed turn; the pause before it is None if it is not yet known."""

    pause_s: float | None
    n_prompt_tokens: int
    n_output_tokens: int


class Picked(NamedTuple):
    """One replayed request or conversation; its instant is on the simulation's clock.

    It includes its line in the file, and the device that sent it if the file contains that.
    """

    at_s: float | None
    turns: tuple[ReplayedTurn, ...]
    line: int = 0
    source: str | None = None


@dataclass(slots=True)
class Counts:
    """Counts of records by outcome, updated as records are read.

    Attributes
    ----------
    n_records
        Records read from the file: up to the end of the window or of the run, not always the whole file.
    n_before_window
        Records left out because they are before the window.
    n_empty
        Requests without prompt or without answer: in these traces, failures. They are left out.
    n_clipped, n_dropped
        Requests above the allowed lengths, shortened or left out.
    n_later_turns
        Later turns of conversations, left out because their arrival is not known.
    """

    n_records: int = 0
    n_before_window: int = 0
    n_empty: int = 0
    n_clipped: int = 0
    n_dropped: int = 0
    n_later_turns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The replayed part of a trace, its speed, and the treatment of too long requests.

    Parameters
    ----------
    is_rebased
        Whether the first record's instant becomes zero of the trace's clock, before anything else.
    from_s, length_s
        Window on the trace's own clock; its beginning becomes time zero. None: to the end of the trace.
    time_scale
        Factor on all intervals, including pauses of sessions: 0.5 replays twice as fast.
    max_prompt_tokens, max_output_tokens
        Greatest lengths allowed; None: any.
    too_long
        ``clip`` shortens to the allowed lengths, ``drop`` leaves the request out (or the whole
        conversation), ``error`` refuses the file.
    """

    is_rebased: bool = False
    from_s: float = 0.0
    length_s: float | None = None
    time_scale: float = 1.0
    max_prompt_tokens: int | None = None
    max_output_tokens: int | None = None
    too_long: Literal["clip", "drop", "error"] = "error"

    def __post_init__(self) -> None:
        length_s = math.inf if self.length_s is None else self.length_s
        if not (0 <= self.from_s < math.inf and length_s > 0):
            raise InputError(
                f"workload: the window is from {self.from_s:g} s for {length_s:g} s; expected a beginning of "
                "0 or more and a length above 0: correct it"
            )
        if not (self.time_scale > 0 and math.isfinite(self.time_scale)):
            raise InputError(
                f"workload: time_scale is {self.time_scale:g}; expected a finite number above 0: correct it"
            )

    @property
    def is_whole(self) -> bool:
        """Whether the selection needs no instants: no new zero, no window and no scale."""
        plain = self.from_s == 0 and self.length_s is None and self.time_scale == 1
        return plain and not self.is_rebased

    def pick(
        self, path: Path, records: Iterable[Record], counts: Counts, *, with_later_turns: bool
    ) -> Iterator[Picked]:
        """Yield the replayed requests and conversations, one record at a time.

        Parameters
        ----------
        path
            The file, for messages.
        records
            The file's records, in order.
        counts
            Updated with each record.
        with_later_turns
            Whether conversations continue after their first turn.

        Raises
        ------
        WorkloadError
            If instants decrease, a length is negative, or (under ``error``) too long.
        """
        until_s = math.inf if self.length_s is None else self.from_s + self.length_s
        last_s, zero_s = -math.inf, None if self.is_rebased else 0.0
        most_prompt, most_output = self.max_prompt_tokens or math.inf, self.max_output_tokens or math.inf
        for record in records:
            at_s = record.at_s
            if at_s is not None:
                if not last_s <= at_s < math.inf:
                    refuse(
                        path,
                        record.line,
                        f"an instant of {at_s:g} s after one of {last_s:g} s; expected rows in order of "
                        "time: sort the file",
                    )
                last_s = at_s
                zero_s = at_s if zero_s is None else zero_s
                at_s -= zero_s
                if at_s >= until_s:
                    return
            counts.n_records += 1
            if at_s is not None:
                if at_s < self.from_s:
                    counts.n_before_window += 1
                    continue
                at_s = (at_s - self.from_s) * self.time_scale
            line, _, n_prompt, n_output, further, source = record
            if not further and 0 < n_prompt <= most_prompt and 0 < n_output <= most_output:
                yield Picked(at_s, (ReplayedTurn(0.0, n_prompt, n_output),), line, source)
                continue
            turns = self._turns(path, record, counts, with_later_turns)
            if turns:
                yield Picked(at_s, turns, line, source)

    def _turns(
        self, path: Path, record: Record, counts: Counts, with_later_turns: bool
    ) -> tuple[ReplayedTurn, ...]:
        """Return all turns of a record, shortened if necessary; none if the record is left out."""
        turns = [ReplayedTurn(0.0, record.n_prompt_tokens, record.n_output_tokens)]
        if with_later_turns:
            turns += self._later(path, record)
        else:
            counts.n_later_turns += len(record.further)
        kept = []
        pause_s: float | None = 0.0
        for turn in turns:
            _, n_prompt, n_output = turn
            if n_prompt < 0 or n_output < 0:
                refuse(path, record.line, f"{n_prompt} and {n_output} tokens; expected 0 or more: correct it")
            if turn.pause_s is None or pause_s is None:
                pause_s = None
            else:
                pause_s += turn.pause_s
            if n_prompt == 0 or n_output == 0:
                counts.n_empty += 1
                continue
            clipped = self._clipped(turn)
            if clipped is not turn:
                if self.too_long == "error":
                    allowed = f"{self.max_prompt_tokens or 'any'} and {self.max_output_tokens or 'any'}"
                    refuse(
                        path,
                        record.line,
                        f"a request of {n_prompt} and {n_output} tokens, at most {allowed} are allowed; "
                        "allow more, or give 'clip: clip' or 'clip: drop'",
                    )
                if self.too_long == "drop":
                    counts.n_dropped += len(turns)
                    return ()
                counts.n_clipped += 1
            kept.append(clipped._replace(pause_s=pause_s))
            pause_s = 0.0
        return tuple(kept)

    def _later(self, path: Path, record: Record) -> Iterator[ReplayedTurn]:
        """Yield later turns; in a file without pauses, prompts lack the history, which is added."""
        history = record.n_prompt_tokens + record.n_output_tokens
        for pause_s, n_prompt, n_output in record.further:
            if pause_s is not None:
                if not TIME.holds(pause_s * self.time_scale):
                    refuse(
                        path, record.line, f"a pause of {pause_s:g} s; expected {TIME.range_text}: correct it"
                    )
                yield ReplayedTurn(pause_s * self.time_scale, n_prompt, n_output)
            else:
                yield ReplayedTurn(None, history + n_prompt if n_prompt else 0, n_output)
            history += n_prompt + n_output

    def _clipped(self, turn: ReplayedTurn) -> ReplayedTurn:
        prompt = min(turn.n_prompt_tokens, self.max_prompt_tokens or turn.n_prompt_tokens)
        output = min(turn.n_output_tokens, self.max_output_tokens or turn.n_output_tokens)
        if (prompt, output) == turn[1:]:
            return turn
        return ReplayedTurn(turn.pause_s, prompt, output)

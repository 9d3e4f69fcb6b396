"""Replay of a recorded trace as a workload: its instants and lengths, or its lengths alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from typing import ClassVar

from edgesim.errors import InputError, WorkloadError
from edgesim.files import sha256_of
from edgesim.nearest import suggest
from edgesim.rng import Streams
from edgesim.units import LONGEST_RUN_S
from edgesim.workload.arrivals import Arrivals
from edgesim.workload.bounded import MOST_REQUESTS, Bounded, draw_samples
from edgesim.workload.conversation import Conversation, Turn
from edgesim.workload.readers.detect import read
from edgesim.workload.readers.record import Format, refuse
from edgesim.workload.readers.text import Estimated, Tokenized
from edgesim.workload.requests import Extent, MeanLengths, Request
from edgesim.workload.selection import Counts, Picked, ReplayedTurn, Selection
from edgesim.workload.think import Think, think_times

__all__ = ["Replay"]


@dataclass(frozen=True)
class _Survey:
    """Results of reading the file once."""

    extent: Extent
    typical: MeanLengths | None
    counts: Counts


@dataclass(frozen=True, kw_only=True)
class Replay(Bounded):
    """Requests as recorded, read from the file during the simulation, in constant memory.

    Instants and lengths are the file's, the same in every replication; sources and samples are drawn, as in
    other workloads. For a file without instants an arrival process gives these. Its lengths then follow in
    the order of the file, and the workload ends with the file.

    Of conversations only the first turn is replayed, unless the file contains the pauses between turns, or
    `think` gives them. Later turns then wait for the answers before them, and arrivals depend on the
    strategy. Recorded text contains the new part of each turn, to which the history is added; recorded
    lengths are used unchanged.

    Not modelled: reuse of a conversation's KV cache between its turns, sharing of prefixes between
    requests, images.

    Parameters
    ----------
    path, format
        The file, and its format as returned by :func:`~edgesim.workload.readers.detect.detect`.
    selection
        The part of the file that is replayed, and its speed.
    text_length
        Token count of a text, for files that contain text.
    arrivals
        Arrival process, only for a file without instants.
    think
        Distribution of the pauses between turns, for a file of conversations that does not contain them.
    sources, horizon_s, n_requests
        As in :class:`~edgesim.workload.bounded.Bounded`; the end of the file is a limit, too.
    """

    is_finite: ClassVar[bool] = True

    path: Path
    format: Format
    selection: Selection = field(default_factory=Selection)
    text_length: Estimated | Tokenized = field(default_factory=Estimated)
    arrivals: Arrivals | None = None
    think: Think | None = None

    def _check(self) -> None:
        has_instants = self.format.time_unit is not None
        about = f"{self.path}: the format, {self.format.name}, has"
        if not has_instants and self.arrivals is None:
            raise InputError(f"{about} lengths and no instants; give an 'arrivals' law beside 'trace'")
        if has_instants and self.arrivals is not None:
            raise InputError(
                f"{about} its own instants ({self.format.time_unit}); leave out 'arrivals', and "
                "scale with time_scale or rate_scale"
            )
        if not has_instants and not self.selection.is_whole:
            raise InputError(f"{about} no instants; leave out the window and the scale")
        if self.think is not None and (has_instants or self.format.has_sessions):
            raise InputError(f"{about} no turns that wait for a think time; leave out 'think'")

    @property
    def is_closed(self) -> bool:
        """Whether later turns wait for answers."""
        return self.format.has_sessions or self.think is not None

    @property
    def is_random(self) -> bool:
        """Whether an arrival process decides how much of the file is replayed."""
        return self.arrivals is not None

    @property
    def typical(self) -> MeanLengths:
        """Mean lengths of the replayed requests."""
        survey = self._whole_survey
        if survey.typical is None:
            raise WorkloadError(
                f"{self.path}: no request is left of it ({_listed(survey.counts)}); widen the window, "
                "lengthen the horizon, or allow longer requests; if its instants count from 1970, give "
                "'rebase: true'"
            )
        return survey.typical

    def requests(self, streams: Streams) -> Iterator[Request]:
        """Yield the requests in order of arrival; none if later turns wait for answers."""
        if self.is_closed:
            return
        asked = self._asked(streams, Counts())
        drawn = zip(asked, self.draw_sources(streams), draw_samples(streams), strict=False)
        for number, (one, source, sample) in enumerate(drawn):
            ((_, n_prompt, n_output),) = one.turns
            yield Request(number, one.source or source, sample, one.at_s or 0.0, n_prompt, n_output)

    def conversations(self, streams: Streams) -> Iterator[Conversation]:
        """Yield the conversations in order of their starts; none if no turn waits for another."""
        if not self.is_closed:
            return
        sources, samples = self.draw_sources(streams), draw_samples(streams)
        thinks_s = repeat(0.0) if self.think is None else think_times(self.think, streams["workload/think"])
        number = 0
        for (at_s, turns, _, recorded), source in zip(self._asked(streams, Counts()), sources, strict=False):
            drawn = [
                Turn(
                    number + index,
                    recorded or source,
                    next(samples),
                    turn.n_prompt_tokens,
                    turn.n_output_tokens,
                    next(thinks_s) if turn.pause_s is None else turn.pause_s,
                )
                for index, turn in enumerate(turns)
            ]
            number += len(drawn)
            yield Conversation(at_s or 0.0, iter(drawn))

    def extent(self, streams: Streams) -> Extent:
        """Return the number of replayed requests and their greatest lengths; reads the file once."""
        return self._survey_of(streams).extent

    def notes(self, streams: Streams) -> Mapping[str, object]:
        """Return the file, its format, and how many requests were left out, shortened or replayed."""
        survey = self._survey_of(streams)
        return {
            "kind": "replay",
            "arrivals_depend_on_strategy": self.is_closed,
            "file": self.path.name,
            "sha256": sha256_of(self.path),
            "format": self.format.name,
            "time_unit": self.format.time_unit,
            "remark": self.format.remark,
            "tokens": None if self.format.time_unit else str(self.text_length),
            **asdict(self.selection),
            **asdict(survey.counts),
            "n_requests": survey.extent.n_requests,
        }

    @cached_property
    def _whole_survey(self) -> _Survey:
        return self._read(None)

    def _survey_of(self, streams: Streams) -> _Survey:
        return self._read(streams) if self.is_random else self._whole_survey

    def _read(self, streams: Streams | None) -> _Survey:
        counts = Counts()
        number = prompt = output = both = sum_prompt = sum_output = 0
        for turn in chain.from_iterable(picked.turns for picked in self._asked(streams, counts)):
            _, n_prompt, n_output = turn
            number += 1
            if number > MOST_REQUESTS:
                raise WorkloadError(
                    f"{self.path}: more than {MOST_REQUESTS:,} requests in one replication; expected no "
                    "more: use a 'window', or give the number of 'requests'"
                )
            sum_prompt, sum_output = sum_prompt + n_prompt, sum_output + n_output
            prompt, output = max(prompt, n_prompt), max(output, n_output)
            both = max(both, n_prompt + n_output)
        typical = MeanLengths(sum_prompt / number, sum_output / number) if number else None
        return _Survey(Extent(number, prompt, output, both), typical, counts)

    def _asked(self, streams: Streams | None, counts: Counts) -> Iterator[Picked]:
        """Yield the replayed records up to the limits; without streams, no arrival process ends them."""
        records = read(self.path, self.format, self.text_length)
        picked = self.selection.pick(self.path, records, counts, with_later_turns=self.is_closed)
        instants: Iterator[float] | None = None
        if self.arrivals is not None and streams is not None:
            instants = self.arrivals.instants(streams["workload/arrivals"])
        n_left = self.n_requests
        for one in picked:
            at_s = one.at_s if instants is None else next(instants)
            if at_s is not None and self.horizon_s is None and at_s > LONGEST_RUN_S and instants is None:
                refuse(self.path, one.line, f"a request at {at_s:g} s of the run; {_TOO_LATE}")
            if at_s is not None and self.is_past(at_s):
                return
            if one.source is not None and one.source not in self.sources:
                known = suggest(one.source, self.sources)
                refuse(
                    self.path, one.line, f"a request from {one.source[:40]!r}, which is not a source; {known}"
                )
            turns: tuple[ReplayedTurn, ...] = one.turns if n_left is None else one.turns[:n_left]
            yield one._replace(at_s=at_s, turns=turns)
            if n_left is not None:
                n_left -= len(turns)
                if n_left == 0:
                    return


_TOO_LATE = (
    f"expected {LONGEST_RUN_S:g} s at most: if instants count from 1970, give 'rebase: true'; if a row "
    "is far from the others, remove it, or end the window before it"
)


def _listed(counts: Counts) -> str:
    return ", ".join(f"{name} {number}" for name, number in asdict(counts).items())

"""Requests, and the open workload that generates them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol, Self

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.workload.arrivals import Arrivals
from edgesim.workload.bounded import MOST_REQUESTS, Bounded, blockwise, draw_samples, refuse_too_many
from edgesim.workload.conversation import Conversation, Turn
from edgesim.workload.lengths import Lengths

__all__ = ["Demand", "Extent", "MeanLengths", "Request", "Workload"]


@dataclass(frozen=True, slots=True)
class Request:
    """One user's request: its source, arrival, and prompt and output lengths.

    Attributes
    ----------
    id
        Position in the order of arrival, from 0.
    source
        Device where the prompt originates and to which the answer's tokens are delivered.
    sample
        Number of the evaluation sample whose measured answer is replayed for this request.
    arrived_at_s
        Instant of arrival, in seconds since time zero.
    n_prompt_tokens, n_output_tokens
        Lengths; every request runs to its output length.
    """

    id: int
    source: str
    sample: int
    arrived_at_s: float
    n_prompt_tokens: int
    n_output_tokens: int


class MeanLengths(NamedTuple):
    """Mean lengths of a request, by which planners weigh prefill against decode."""

    n_prompt_tokens: float
    n_output_tokens: float


class Extent(NamedTuple):
    """Number of requests and greatest lengths, which a profile must cover and a context window must fit."""

    n_requests: int
    n_prompt_tokens: int
    n_output_tokens: int
    n_tokens: int

    @classmethod
    def of(cls, requests: Iterable[Request | Turn]) -> Self:
        """Return the number of the requests and their greatest lengths, reading them once."""
        number = prompt = output = both = 0
        for request in requests:
            number += 1
            if number > MOST_REQUESTS:
                raise InputError(
                    f"workload: more than {MOST_REQUESTS:,} requests in one replication; expected no more: "
                    "shorten the horizon, lower the rate, or use several replications"
                )
            prompt = max(prompt, request.n_prompt_tokens)
            output = max(output, request.n_output_tokens)
            both = max(both, request.n_prompt_tokens + request.n_output_tokens)
        return cls(number, prompt, output, both)


class Demand(Protocol):
    """Interface of workloads: requests one by one for the engine, summaries for planners.

    A workload is open or closed. In an **open** one every arrival is known in advance, and the same under
    every strategy; it is read by :meth:`requests`. In a **closed** one, where users wait for answers before
    the next request, only the contents of requests are known in advance; it is read by
    :meth:`conversations`, and arrivals depend on the strategy.
    """

    @property
    def sources(self) -> tuple[str, ...]:
        """Devices that requests come from."""

    @property
    def is_closed(self) -> bool:
        """Whether arrivals depend on the strategy."""

    @property
    def is_random(self) -> bool:
        """Whether the results of :meth:`extent` and :meth:`notes` differ between replications."""

    @property
    def typical(self) -> MeanLengths:
        """Mean prompt and output lengths, in tokens."""

    def requests(self, streams: Streams) -> Iterator[Request]:
        """Yield the requests of an open workload in order of arrival; none for a closed one."""

    def conversations(self, streams: Streams) -> Iterator[Conversation]:
        """Yield the conversations of a closed workload in order of their starts; none for an open one."""

    def extent(self, streams: Streams) -> Extent:
        """Return the number of requests and their greatest lengths; upper bounds for a closed workload."""

    def notes(self, streams: Streams) -> Mapping[str, object]:
        """Return notes for readers of the results: kind, files, what was clipped or left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload(Bounded):
    """Open workload: an arrival process over all sources together, and independent lengths.

    Each request's source is drawn by its weight, so under Poisson arrivals every source is Poisson with its
    share of the rate. Every quantity has its own random stream: another length distribution leaves
    arrivals, sources and samples unchanged, so that two scenarios can be compared request by request.

    Parameters
    ----------
    arrivals
        Arrival process; its rate is the total over all sources.
    prompt_tokens, output_tokens
        Distributions of the lengths.
    sources, horizon_s, n_requests, weights
        As in :class:`~edgesim.workload.bounded.Bounded`.
    """

    arrivals: Arrivals
    prompt_tokens: Lengths
    output_tokens: Lengths

    def _check(self) -> None:
        refuse_too_many(self.arrivals.rate_hz, self.horizon_s, self.n_requests)

    @property
    def is_closed(self) -> bool:
        """False: every arrival is known in advance."""
        return False

    @property
    def is_random(self) -> bool:
        """True: each replication draws its own requests."""
        return True

    @property
    def typical(self) -> MeanLengths:
        """Mean prompt and output lengths of the distributions, in tokens."""
        return MeanLengths(self.prompt_tokens.mean, self.output_tokens.mean)

    def requests(self, streams: Streams) -> Iterator[Request]:
        """Yield the requests in order of arrival: a pure function of the streams, evaluated lazily.

        Memory use does not grow with their number. Each call starts from scratch: two readers see the same
        requests in whatever order they read.
        """
        instants = self.arrivals.instants(streams["workload/arrivals"])
        prompts = blockwise(self.prompt_tokens.draw, streams["workload/prompt_tokens"])
        outputs = blockwise(self.output_tokens.draw, streams["workload/output_tokens"])
        drawn = zip(
            instants, self.draw_sources(streams), draw_samples(streams), prompts, outputs, strict=True
        )
        for number, (at_s, source, sample, n_prompt, n_output) in enumerate(islice(drawn, self.n_requests)):
            if self.is_past(at_s):
                return
            yield Request(number, source, sample, at_s, n_prompt, n_output)

    def conversations(self, streams: Streams) -> Iterator[Conversation]:
        """Yield nothing: requests do not wait for one another."""
        return iter(())

    def notes(self, streams: Streams) -> Mapping[str, object]:
        """Return the notes of a workload whose arrivals follow a process."""
        return {"kind": "arrivals by a law", "arrivals_depend_on_strategy": False}

    def extent(self, streams: Streams) -> Extent:
        """Return the number of requests and their greatest lengths; reads all requests once."""
        return Extent.of(self.requests(streams))

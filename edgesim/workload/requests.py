"""Requests, and the workload that makes them."""

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

__all__ = ["Demand", "Extent", "Request", "Typical", "Workload"]


@dataclass(frozen=True, slots=True)
class Request:
    """One user's question: who asks, when, how long the prompt is and how long the answer will be.

    Attributes
    ----------
    id
        Position in the order of arrival, from 0.
    source
        Device at which the prompt appears and to which the answer's tokens are delivered.
    sample
        Number of the evaluation sample whose measured answer is replayed for this request.
    arrived_at_s
        Instant of arrival, seconds since time zero.
    n_prompt_tokens, n_output_tokens
        Lengths; every request runs to its output length.
    """

    id: int
    source: str
    sample: int
    arrived_at_s: float
    n_prompt_tokens: int
    n_output_tokens: int


class Typical(NamedTuple):
    """The expected request, by which planners weigh prefill against decode."""

    n_prompt_tokens: float
    n_output_tokens: float


class Extent(NamedTuple):
    """How far a drawn workload reaches: what a profile must cover and a context window must hold."""

    n_requests: int
    n_prompt_tokens: int
    n_output_tokens: int
    n_tokens: int

    @classmethod
    def of(cls, requests: Iterable[Request | Turn]) -> Self:
        """Read requests once: their number and their longest lengths."""
        number = prompt = output = both = 0
        for request in requests:
            number += 1
            if number > MOST_REQUESTS:
                raise InputError(
                    f"workload: more than {MOST_REQUESTS:,} requests in one replication; expected no more: "
                    "shorten the horizon, lower the rate, or ask for several replications"
                )
            prompt = max(prompt, request.n_prompt_tokens)
            output = max(output, request.n_output_tokens)
            both = max(both, request.n_prompt_tokens + request.n_output_tokens)
        return cls(number, prompt, output, both)


class Demand(Protocol):
    """What a workload tells: to the engine, request by request, and to planners, in sum.

    A workload is open or closed. Of an **open** one every instant of arrival is known beforehand, and the
    same under every strategy: it is read by :meth:`requests`. Of a **closed** one, in which users wait for
    answers before they ask again, only what is asked is known beforehand: it is read by
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
        """Whether what :meth:`extent` and :meth:`notes` tell differs between replications."""

    @property
    def typical(self) -> Typical:
        """Mean prompt and output lengths, in tokens."""

    def requests(self, streams: Streams) -> Iterator[Request]:
        """Yield the requests of an open workload in order of arrival; none of a closed one."""

    def conversations(self, streams: Streams) -> Iterator[Conversation]:
        """Yield the conversations of a closed workload in the order of their starts; none of an open one."""

    def extent(self, streams: Streams) -> Extent:
        """Tell how many requests there are, and how long they get; of a closed workload, at most."""

    def notes(self, streams: Streams) -> Mapping[str, object]:
        """Tell what a reader of the results must know: kind, files, what was clipped or left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload(Bounded):
    """A law of requests: arrivals over all sources together, and lengths, independent of one another.

    Each request's source is drawn by its weight, so under Poisson arrivals every source is Poisson with its
    share of the rate. Every quantity has a stream of its own: another law of lengths leaves the
    arrivals, sources and samples as they were, so that two scenarios can be compared request by request.

    Parameters
    ----------
    arrivals
        Law of the instants; its rate is the total over all sources.
    prompt_tokens, output_tokens
        Laws of the lengths.
    sources, horizon_s, n_requests, weights
        As of :class:`~edgesim.workload.bounded.Bounded`.
    """

    arrivals: Arrivals
    prompt_tokens: Lengths
    output_tokens: Lengths

    def _check(self) -> None:
        refuse_too_many(self.arrivals.rate_hz, self.horizon_s, self.n_requests)

    @property
    def is_closed(self) -> bool:
        """False: every instant is known beforehand."""
        return False

    @property
    def is_random(self) -> bool:
        """True: each replication draws its own requests."""
        return True

    @property
    def typical(self) -> Typical:
        """Mean prompt and output lengths of the laws, in tokens."""
        return Typical(self.prompt_tokens.mean, self.output_tokens.mean)

    def requests(self, streams: Streams) -> Iterator[Request]:
        """Yield the requests in order of arrival: a pure function of the streams, read lazily.

        Memory stays flat however many there are, and each call starts anew: two readers see the same
        requests whichever of them reads first.
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
        """Tell that arrivals follow a law."""
        return {"kind": "arrivals by a law", "arrivals_depend_on_strategy": False}

    def extent(self, streams: Streams) -> Extent:
        """Read all requests once and return their number and their longest lengths."""
        return Extent.of(self.requests(streams))

"""Requests, and the workload that makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.workload.arrivals import Arrivals
from edgesim.workload.lengths import Lengths

__all__ = ["Extent", "Request", "Typical", "Workload"]

BLOCK = 4096  # draws made at once, as in the arrival laws
N_SAMPLES = (
    2**31
)  # far more than any evaluation set holds: whoever replays answers maps the number onto their set


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A law of requests: arrivals over all sources together, and lengths, independent of one another.

    Each request's source is drawn uniformly, so under Poisson arrivals every source is Poisson with an
    equal share of the rate. Every quantity has a stream of its own: another law of lengths leaves the
    arrivals, sources and samples as they were, so that two scenarios can be compared request by request.

    Parameters
    ----------
    arrivals
        Law of the instants; its rate is the total over all sources.
    prompt_tokens, output_tokens
        Laws of the lengths.
    sources
        Devices that requests come from.
    horizon_s
        Requests arrive strictly before this instant; None for no such end.
    n_requests
        No more than this many requests; None for no such end. One of the two ends is needed.
    """

    arrivals: Arrivals
    prompt_tokens: Lengths
    output_tokens: Lengths
    sources: tuple[str, ...]
    horizon_s: float | None = None
    n_requests: int | None = None

    def __post_init__(self) -> None:
        if not self.sources:
            raise InputError(
                "workload: sources is empty; expected at least one device: name those that requests come from"
            )
        if self.horizon_s is None and self.n_requests is None:
            raise InputError(
                "workload: neither horizon_s nor n_requests is given, so it would never end; "
                "expected at least one: give a horizon or a number of requests"
            )
        if self.horizon_s is not None and not self.horizon_s > 0:
            raise InputError(
                f"workload: horizon_s is {self.horizon_s:g}; expected a duration above 0: lengthen it"
            )
        if self.n_requests is not None and self.n_requests < 1:
            raise InputError(
                f"workload: n_requests is {self.n_requests}; expected at least 1: ask for more requests"
            )

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
        prompts = _blockwise(self.prompt_tokens.draw, streams["workload/prompt_tokens"])
        outputs = _blockwise(self.output_tokens.draw, streams["workload/output_tokens"])
        sources = _blockwise(_draw_below(len(self.sources)), streams["workload/sources"])
        samples = _blockwise(_draw_below(N_SAMPLES), streams["workload/samples"])
        drawn = zip(instants, sources, samples, prompts, outputs, strict=True)
        for number, (at_s, source, sample, n_prompt, n_output) in enumerate(islice(drawn, self.n_requests)):
            if self.horizon_s is not None and at_s >= self.horizon_s:
                return
            yield Request(number, self.sources[source], sample, at_s, n_prompt, n_output)

    def extent(self, streams: Streams) -> Extent:
        """Read all requests once and return their number and their longest lengths."""
        number = prompt = output = both = 0
        for request in self.requests(streams):
            number += 1
            prompt = max(prompt, request.n_prompt_tokens)
            output = max(output, request.n_output_tokens)
            both = max(both, request.n_prompt_tokens + request.n_output_tokens)
        return Extent(number, prompt, output, both)


_Draw: TypeAlias = Callable[[np.random.Generator, int], npt.NDArray[np.int64]]


def _blockwise(draw: _Draw, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from draw(rng, BLOCK).tolist()


def _draw_below(end: int) -> _Draw:
    return lambda rng, n: rng.integers(end, size=n)

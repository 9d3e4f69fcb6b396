"""Closed-loop workload: a fixed number of users who wait for an answer before the next request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.workload.bounded import Bounded, blockwise, draw_samples
from edgesim.workload.conversation import Conversation, Turn
from edgesim.workload.lengths import Lengths
from edgesim.workload.requests import Extent, MeanLengths, Request
from edgesim.workload.think import Think, think_times

__all__ = ["ClosedLoop"]

MOST_USERS = 100_000  # each has its own random streams
BLOCK = 64  # numbers per draw for one user: there may be thousands of users


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop(Bounded):
    """Users who send a request, wait for the end of its answer, think, and send the next.

    A user's k-th request arrives a think time after the (k-1)-th has ended, completed or failed; the first
    arrives when the user starts. Its lengths and the think time before it are a pure function of (seed,
    user, k) and therefore the same under every strategy; its instant is not. Request k (from 0) of user u
    has the number ``k * n_users + u`` under every strategy.

    ``n_requests`` is divided evenly before the run: a user's requests with that number or a higher one are
    not sent. Every strategy then serves the same requests. With a horizon alone, a faster strategy serves
    more.

    Parameters
    ----------
    n_users
        Number of users at any time: the concurrency.
    think
        Distribution of the time between an answer's end and the next request.
    stagger_s
        User u starts at ``u * stagger_s``.
    prompt_tokens, output_tokens
        Distributions of the lengths.
    sources
        Devices of the users, assigned to them in rotation; a user stays at one device.
    horizon_s, n_requests
        The two limits, at least one of which is required. Without ``n_requests`` the length distributions
        must be bounded, because the number of requests is not known in advance.
    """

    n_users: int
    think: Think
    stagger_s: float = 0.0
    prompt_tokens: Lengths
    output_tokens: Lengths

    def _check(self) -> None:
        if not 1 <= self.n_users <= MOST_USERS:
            raise InputError(
                f"workload users: found {self.n_users} users; expected 1 to {MOST_USERS:,}: correct it"
            )
        if not self.stagger_s >= 0:
            raise InputError(
                f"workload users: stagger_s is {self.stagger_s:g}; expected 0 or more: correct it"
            )
        if self.n_requests is None and None in (self.prompt_tokens.longest, self.output_tokens.longest):
            raise InputError(
                "workload users: lengths without a 'max' and without a number of requests; the longest "
                "request then depends on how many a strategy serves: give the lengths a 'max', or give the "
                "number of 'requests'"
            )

    @property
    def is_closed(self) -> bool:
        """True: a user's next request depends on the end of the last answer."""
        return True

    @property
    def is_random(self) -> bool:
        """Whether the longest requests differ between replications: only if they are drawn in advance."""
        return self.n_requests is not None

    @property
    def typical(self) -> MeanLengths:
        """Mean prompt and output lengths of the distributions, in tokens."""
        return MeanLengths(self.prompt_tokens.mean, self.output_tokens.mean)

    def requests(self, streams: Streams) -> Iterator[Request]:
        """Yield nothing, because no arrival is known in advance."""
        return iter(())

    def conversations(self, streams: Streams) -> Iterator[Conversation]:
        """Yield one conversation per user, in the order in which users start."""
        for user in range(self.n_users):
            starts_at_s = user * self.stagger_s
            if self.is_past(starts_at_s) or (self.n_requests is not None and user >= self.n_requests):
                return
            yield Conversation(starts_at_s, self._turns(user, streams), is_endless=self.n_requests is None)

    def extent(self, streams: Streams) -> Extent:
        """Return the least number of requests, and their greatest lengths."""
        if self.n_requests is None:
            prompt, output = self.prompt_tokens.longest or 0, self.output_tokens.longest or 0
            return Extent(sum(1 for _ in self.conversations(streams)), prompt, output, prompt + output)
        return Extent.of(turn for conversation in self.conversations(streams) for turn in conversation.turns)

    def notes(self, streams: Streams) -> Mapping[str, object]:
        """Return the notes of a closed loop, whose arrivals depend on the strategy."""
        return {"kind": "closed loop", "arrivals_depend_on_strategy": True, "n_users": self.n_users}

    def _turns(self, user: int, streams: Streams) -> Iterator[Turn]:
        name = f"workload/users/{user}"
        prompts = blockwise(self.prompt_tokens.draw, streams[f"{name}/prompt_tokens"], BLOCK)
        outputs = blockwise(self.output_tokens.draw, streams[f"{name}/output_tokens"], BLOCK)
        samples = draw_samples(streams, name, BLOCK)
        thinks_s = chain((0.0,), think_times(self.think, streams[f"{name}/think"]))
        source = self.sources[user % len(self.sources)]
        drawn = zip(count(user, self.n_users), samples, prompts, outputs, thinks_s, strict=False)
        for number, sample, n_prompt, n_output, think_s in drawn:
            if self.n_requests is not None and number >= self.n_requests:
                return
            yield Turn(number, source, sample, n_prompt, n_output, think_s)

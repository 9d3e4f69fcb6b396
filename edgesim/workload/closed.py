"""A closed loop: a fixed number of users, each of whom waits for an answer before asking again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.workload.bounded import Bounded, blockwise, draw_samples
from edgesim.workload.conversation import Conversation, Turn
from edgesim.workload.lengths import Lengths
from edgesim.workload.requests import Extent, Request, Typical
from edgesim.workload.think import Think, think_times

__all__ = ["ClosedLoop"]

MOST_USERS = 100_000  # each with streams of its own
BLOCK = 64  # draws made at once for one user: there may be thousands of users


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop(Bounded):
    """Users who ask, wait for the end of the answer, think, and ask again.

    A user's k-th request arrives a think time after the (k-1)-th has ended, completed or failed; the first
    arrives when the user starts. What it asks, and how long the user thinks before it, is a pure function of
    (seed, user, k) and so the same under every strategy; its instant is not. Request k (from 0) of user u has
    the number ``k * n_users + u`` under every strategy.

    ``n_requests`` is shared out evenly before the run: users whose turn it would be at that number ask no
    more. Every strategy then serves the same requests. With a horizon alone, a faster strategy serves more
    of them.

    Parameters
    ----------
    n_users
        How many users there are, at any time: the concurrency.
    think
        Law of the time between an answer's end and the next request.
    stagger_s
        User u starts at ``u * stagger_s``.
    prompt_tokens, output_tokens
        Laws of the lengths.
    sources
        Devices that users ask from, dealt out to them in turn; a user stays at one.
    horizon_s, n_requests
        The two ends, of which one is needed. Without ``n_requests`` the laws of lengths need a bound, since
        nobody can tell beforehand how many requests there will be.
    """

    n_users: int
    think: Think
    stagger_s: float = 0.0
    prompt_tokens: Lengths
    output_tokens: Lengths

    def _check(self) -> None:
        if not 1 <= self.n_users <= MOST_USERS:
            raise InputError(
                f"workload users: there are {self.n_users}; expected 1 to {MOST_USERS:,}: correct that"
            )
        if not self.stagger_s >= 0:
            raise InputError(
                f"workload users: stagger_s is {self.stagger_s:g}; expected 0 or more: correct it"
            )
        if self.n_requests is None and None in (self.prompt_tokens.longest, self.output_tokens.longest):
            raise InputError(
                "workload users: lengths without a 'max' and without a number of requests; how long requests "
                "get then depends on how many a strategy serves: give the lengths a 'max', or say how many "
                "'requests' there are"
            )

    @property
    def is_closed(self) -> bool:
        """True: when a user asks again depends on the answer's end."""
        return True

    @property
    def is_random(self) -> bool:
        """Whether replications differ in their longest requests: only where these are really drawn."""
        return self.n_requests is not None

    @property
    def typical(self) -> Typical:
        """Mean prompt and output lengths of the laws, in tokens."""
        return Typical(self.prompt_tokens.mean, self.output_tokens.mean)

    def requests(self, streams: Streams) -> Iterator[Request]:
        """Yield nothing: no instant is known beforehand."""
        return iter(())

    def conversations(self, streams: Streams) -> Iterator[Conversation]:
        """Yield one conversation per user, in the order in which users start."""
        for user in range(self.n_users):
            starts_at_s = user * self.stagger_s
            if self.is_past(starts_at_s) or (self.n_requests is not None and user >= self.n_requests):
                return
            yield Conversation(starts_at_s, self._turns(user, streams), is_endless=self.n_requests is None)

    def extent(self, streams: Streams) -> Extent:
        """Tell how many requests there are at least, and how long they get at most."""
        if self.n_requests is None:
            prompt, output = self.prompt_tokens.longest or 0, self.output_tokens.longest or 0
            return Extent(sum(1 for _ in self.conversations(streams)), prompt, output, prompt + output)
        return Extent.of(turn for conversation in self.conversations(streams) for turn in conversation.turns)

    def notes(self, streams: Streams) -> Mapping[str, object]:
        """Tell that arrivals depend on the strategy."""
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

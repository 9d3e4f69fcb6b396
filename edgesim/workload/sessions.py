"""Multi-turn sessions: a user sends several requests, and every prompt contains the conversation so far."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from edgesim.errors import InputError
from edgesim.rng import Streams
from edgesim.workload.arrivals import Arrivals
from edgesim.workload.bounded import Bounded, blockwise, draw_samples, refuse_too_many
from edgesim.workload.conversation import Conversation, Turn
from edgesim.workload.lengths import Lengths
from edgesim.workload.requests import Extent, MeanLengths, Request
from edgesim.workload.think import Think, think_times

__all__ = ["Sessions"]

MOST_TURNS = 10_000  # per session
N_TYPICAL = 2000  # sessions from which mean lengths are estimated: to some percent, sufficient for planning


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions(Bounded):
    """Sessions that start by an arrival process, and whose turns wait for the answers.

    Turn k's prompt is the session's history, which is all prompts and answers of the turns before it, and a
    new part of a length drawn from ``prompt_tokens``. It arrives a think time after turn k-1 has ended,
    completed or failed. Its contents are the same under every strategy; its instant is not. Requests are
    numbered session by session.

    Not modelled: keeping the history's KV cache between turns. Every turn computes its whole prompt from
    scratch, as in a server without prefix caching. The history of a failed turn counts as if it had been
    answered.

    Parameters
    ----------
    arrivals
        Arrival process of the sessions' starts, all sources together.
    turns
        Distribution of the number of turns.
    think
        Distribution of the time between an answer's end and the next turn.
    max_history_tokens
        Most history tokens in a prompt. Of a longer history the oldest tokens are left out, and counted in
        :meth:`notes`. None: the whole history.
    prompt_tokens, output_tokens
        Distributions of a turn's new tokens and of its answer.
    sources
        Devices that sessions come from, drawn uniformly; a session stays at one device.
    horizon_s, n_requests
        Sessions start strictly before the horizon, and requests are numbered below ``n_requests``; at least
        one of the two is required.
    """

    arrivals: Arrivals
    turns: Lengths
    think: Think
    max_history_tokens: int | None = None
    prompt_tokens: Lengths
    output_tokens: Lengths

    def _check(self) -> None:
        refuse_too_many(self.arrivals.rate_hz, self.horizon_s, self.n_requests)
        if self.turns.longest is not None and self.turns.longest > MOST_TURNS:
            raise InputError(
                f"workload sessions: up to {self.turns.longest:,} turns; expected {MOST_TURNS:,} at most: "
                "shorten them"
            )
        if self.max_history_tokens is not None and self.max_history_tokens < 0:
            raise InputError(
                f"workload sessions: max_history_tokens is {self.max_history_tokens}; expected 0 or more: "
                "correct it"
            )

    @property
    def is_closed(self) -> bool:
        """True: the arrival of the next turn depends on the answer's end."""
        return True

    @property
    def is_random(self) -> bool:
        """True: each replication draws its own sessions."""
        return True

    @property
    def typical(self) -> MeanLengths:
        """Mean prompt (history included) and output lengths, estimated from sessions of a fixed seed."""
        endless = replace(self, horizon_s=math.inf, n_requests=None)
        sessions = islice(endless.conversations(Streams(0)), N_TYPICAL)
        prompts = [turn.n_prompt_tokens for session in sessions for turn in session.turns]
        return MeanLengths(sum(prompts) / len(prompts), self.output_tokens.mean)

    def requests(self, streams: Streams) -> Iterator[Request]:
        """Yield nothing, because only the first arrival of a session is known in advance."""
        return iter(())

    def conversations(self, streams: Streams) -> Iterator[Conversation]:
        """Yield the sessions in the order of their starts."""
        for starts_at_s, turns in self._sessions(streams):
            yield Conversation(starts_at_s, (turn for turn, _ in turns))

    def extent(self, streams: Streams) -> Extent:
        """Return the number and greatest lengths of all turns, including those that the horizon cuts off."""
        return Extent.of(turn for _, turns in self._sessions(streams) for turn, _ in turns)

    def notes(self, streams: Streams) -> Mapping[str, object]:
        """Return the notes of sessions, with the number of prompts that lost old history."""
        n_sessions = n_turns = n_cut = 0
        for _, turns in self._sessions(streams):
            n_sessions, n_turns = n_sessions + 1, n_turns + len(turns)
            n_cut += sum(is_cut for _, is_cut in turns)
        return {
            "kind": "sessions",
            "arrivals_depend_on_strategy": True,
            "n_sessions": n_sessions,
            "n_requests_at_most": n_turns,
            "n_prompts_without_their_oldest_history": n_cut,
        }

    def _sessions(self, streams: Streams) -> Iterator[tuple[float, list[tuple[Turn, bool]]]]:
        """Yield each session's start and turns, and for each turn whether its history was cut."""
        starts_at_s = self.arrivals.instants(streams["workload/arrivals"])
        lengths = blockwise(self.turns.draw, streams["workload/turns"])
        asked = zip(
            draw_samples(streams),
            blockwise(self.prompt_tokens.draw, streams["workload/prompt_tokens"]),
            blockwise(self.output_tokens.draw, streams["workload/output_tokens"]),
            think_times(self.think, streams["workload/think"]),
            strict=True,
        )
        number, most = 0, self.max_history_tokens
        for at_s, source, n_turns in zip(starts_at_s, self.draw_sources(streams), lengths, strict=True):
            if self.is_past(at_s):
                return
            if n_turns > MOST_TURNS:
                raise InputError(
                    f"workload sessions: a session of {n_turns:,} turns is drawn; expected {MOST_TURNS:,} at "
                    "most: give their law a 'max'"
                )
            turns: list[tuple[Turn, bool]] = []
            history = 0
            for sample, new, n_output, think_s in islice(asked, n_turns):
                carried = history if most is None else min(history, most)
                pause_s = think_s if turns else 0.0
                turn = Turn(number, source, sample, carried + new, n_output, pause_s)
                turns.append((turn, carried < history))
                history += new + n_output
                number += 1
                if number == self.n_requests:
                    yield at_s, turns
                    return
            yield at_s, turns

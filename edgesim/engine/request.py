"""A request while it is being served."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import simpy

from edgesim.engine.causality.begun import Begun
from edgesim.engine.causality.moves import ATTENDED, UNBEGUN, Move, Told
from edgesim.engine.causality.whereabouts import Whereabouts
from edgesim.engine.token import Token
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.model.architecture import Architecture, Slice
from edgesim.workload.requests import Request

__all__ = ["Kept", "LiveRequest", "Recovering"]


class Kept(Protocol):
    """Work for which a station that may fail is kept: a :class:`edgesim.engine.device.work.Pass`."""

    done: simpy.Event

    def is_of(self, price: Any, token: Token) -> bool:
        """Whether it is the pass of a token through the part of the model that has this price."""
        ...


class Recovering(Protocol):
    """What a preempted request has to make up for: a :class:`edgesim.engine.memory.preemption.Recovery`."""

    let_in: dict[str, simpy.Event]

    def forget(self, device: str) -> None:
        """Let go of a device where the request begins anew."""
        ...


class LiveRequest:
    """A request being served: what it asks, as strategies read it, and how far it has come.

    Attributes
    ----------
    id, source, sample, arrived_at_s, n_prompt_tokens, n_output_tokens
        As the workload drew them.
    prompt_bytes
        Size of the prompt on the wire.
    token_bytes
        Size on the wire of the id of one token of the answer.
    token_activation_bytes
        Size of the hidden states of one token.
    recomputes
        Whether every pass computes all tokens so far, for no keys and values are kept.
    """

    __slots__ = (
        "all_home",
        "answered_at_s",
        "arrived_at_s",
        "attempt",
        "awaited",
        "awaiting",
        "begun",
        "caches",
        "delivered",
        "early",
        "ended_at_s",
        "exits",
        "first_token_at_s",
        "gone",
        "harms",
        "held",
        "home",
        "id",
        "in_hand",
        "interrupt",
        "kept",
        "kept_pass",
        "lost",
        "move",
        "n_brought_before",
        "n_emitted_tokens",
        "n_output_tokens",
        "n_prompt_tokens",
        "n_under_way",
        "outcome",
        "prompt_bytes",
        "rank",
        "reason",
        "recomputes",
        "recovery",
        "rule",
        "sample",
        "source",
        "there",
        "token",
        "token_activation_bytes",
        "token_bytes",
        "told",
        "under_way",
        "until_s",
    )

    def __init__(
        self, asked: Request, model: Architecture, token_bytes: int, prompt_token_bytes: int | None = None
    ) -> None:
        self.id = asked.id
        self.source = asked.source
        self.sample = asked.sample
        self.arrived_at_s = asked.arrived_at_s
        self.n_prompt_tokens = asked.n_prompt_tokens
        self.n_output_tokens = asked.n_output_tokens
        self.prompt_bytes = (prompt_token_bytes or token_bytes) * asked.n_prompt_tokens
        self.token_bytes = token_bytes
        self.token_activation_bytes = model.activation_bytes(1)
        self.recomputes = model.is_causal and not model.keeps_cache
        # What the cluster's verbs keep here, and only they write:
        self.token = 0  # index of the token in hand
        self.n_emitted_tokens = 0
        self.early: list[int] = []  # tokens at the source that wait for others before them
        self.first_token_at_s: float | None = None
        self.answered_at_s: float | None = None  # when the last of its tokens was delivered
        self.ended_at_s: float | None = None
        self.outcome = "censored"  # until it ends
        self.reason: str | None = None
        self.exits: dict[int, tuple[int, bool]] = {}  # token -> block it left after, and whether rightly
        self.caches: CacheFill | None = None  # what exits' answers are those of, once they were asked
        self.rule: ExitRule | None = None  # under which its tokens leave, where all exits' thresholds count
        # By kind and token, the sum and number of errors met:
        self.harms: dict[tuple[str, int | None, int | None], dict[int, tuple[float, int]]] = {}
        self.held: dict[str, int] = {}  # device -> bytes of KV cache reserved there
        self.awaited: list[str] = []  # devices whose memory it has asked for
        self.awaiting: dict[str, simpy.Event] = {}  # those it has not got yet
        self.rank = -1  # its place among all requests of the run, in order of first asking for memory
        self.recovery: Recovering | None = None  # from preemption until its caches are whole
        # Where work can be lost:
        self.attempt = 0  # how often it has been served before
        self.n_brought_before = 0  # tokens that were delivered by then
        self.delivered: set[int] | None = None  # tokens that have been; None where none can come twice
        self.interrupt: Callable[[Exception], None] | None = None  # ends what it waits for
        self.lost: dict[str, Exception] = {}  # devices whose cache of it is gone
        self.kept_pass: Kept | None = None  # work that keeps a station that may fail
        self.n_under_way = 0  # tokens on their way to the source
        self.all_home: simpy.Event | None = None  # waited for where the last token has overtaken others
        self.kept: tuple[str, Slice, Token, float] | None = None  # work that keeps the station, until when
        self.forget()

    def forget(self) -> None:
        """Begin, or begin anew, with the prompt at the source and nothing done; the ledger keeps this."""
        self.move: Move = UNBEGUN  # the latest verb, and where it leads
        self.begun: Any = ATTENDED  # what it returned
        self.until_s = math.inf  # when it ends
        self.in_hand: Token | None = None  # the newest pass that was begun
        self.told = Told()  # what the latest verb with nothing to wait for returned
        self.under_way: list[Begun] | None = None  # verbs, where several are; None where `move` says it all
        self.there: Whereabouts = UNBEGUN.there  # where the data lie, while several verbs are under way
        self.home = -1  # newest token that has been delivered to the source
        self.gone: set[str] = set()  # devices that have failed with data of this request

    def tokens(self) -> Iterator[Token]:
        """Yield the request's passes in order: the prefill, then one decode step per further token.

        Without a KV cache every pass is a prefill of the prompt and all of the answer before it.
        """
        n_prompt, n_output = self.n_prompt_tokens, self.n_output_tokens
        size_bytes = self.token_activation_bytes
        self.token = 0
        yield Token(0, n_prompt, 0, n_prompt * size_bytes, n_output == 1)
        for index in range(1, n_output):
            self.token = index
            if self.recomputes:
                n_tokens = n_prompt + index
                yield Token(index, n_tokens, 0, n_tokens * size_bytes, index == n_output - 1)
                continue
            yield Token(index, 1, n_prompt + index - 1, size_bytes, index == n_output - 1)

    def __repr__(self) -> str:
        return (
            f"LiveRequest(id={self.id}, source={self.source!r}, "
            f"n_emitted_tokens={self.n_emitted_tokens} of {self.n_output_tokens})"
        )

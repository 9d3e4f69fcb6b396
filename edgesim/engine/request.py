"""A request while it is being served."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgesim.engine.answer_quality import Worth
from edgesim.engine.causality.trail import Trail
from edgesim.engine.token import Token
from edgesim.model.architecture import Architecture
from edgesim.workload.requests import Request

__all__ = ["LiveRequest"]


class LiveRequest:
    """A request being served: its parameters, as strategies read them, and its progress.

    All other state of a request (its caches, its answer, messages on their way to it, ...) is kept by the
    part of the engine concerned, which drops it when an attempt fails and when the request ends.

    Attributes
    ----------
    id, source, sample, arrived_at_s, n_prompt_tokens, n_output_tokens
        As drawn by the workload.
    prompt_bytes
        Message size of the prompt.
    token_bytes
        Message size of the id of one token of the answer.
    token_activation_bytes
        Size of the hidden states of one token.
    recomputes
        Whether every pass computes all tokens so far, because no keys and values are cached.
    token
        Index of the token in hand.
    attempt
        Number of earlier attempts.
    n_emitted_tokens, first_token_at_s, answered_at_s
        Number of tokens delivered to the source, and when the first and the last arrived [s]; None until
        then.
    outcome, reason, ended_at_s, worth
        How and when the request ended, and the quality of its answer.
    """

    __slots__ = (
        "answered_at_s",
        "arrived_at_s",
        "attempt",
        "ended_at_s",
        "first_token_at_s",
        "id",
        "interrupt",
        "n_emitted_tokens",
        "n_output_tokens",
        "n_prompt_tokens",
        "outcome",
        "prompt_bytes",
        "rank",
        "reason",
        "recomputes",
        "sample",
        "source",
        "token",
        "token_activation_bytes",
        "token_bytes",
        "trail",
        "worth",
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
        self.token = 0
        # Each of the rest is written by one part of the engine. By delivery:
        self.n_emitted_tokens = 0
        self.first_token_at_s: float | None = None
        self.answered_at_s: float | None = None
        # By its life cycle:
        self.attempt = 0
        self.interrupt: Callable[[Exception], None] | None = None  # interrupts its wait
        self.outcome = "censored"  # until it ends
        self.reason: str | None = None
        self.ended_at_s: float | None = None
        self.worth: Worth | None = None
        # By memory:
        self.rank = -1  # position among all requests of the run, by first request for memory
        # By the ledger, and by the verbs that book directly:
        self.trail = Trail()

    def tokens(self) -> Iterator[Token]:
        """Yield the request's passes in order: the prefill, then one decode step per further token.

        Without a KV cache every pass is a prefill of the prompt and the answer so far.
        """
        n_prompt, n_output, recomputes = self.n_prompt_tokens, self.n_output_tokens, self.recomputes
        last = n_output - 1
        size_bytes = self.token_activation_bytes
        self.token = 0
        yield Token(0, n_prompt, 0, n_prompt * size_bytes, last == 0)
        for index in range(1, n_output):
            self.token = index
            if recomputes:
                n_tokens = n_prompt + index
                yield Token(index, n_tokens, 0, n_tokens * size_bytes, index == last)
                continue
            yield Token(index, 1, n_prompt + index - 1, size_bytes, index == last)

    def __repr__(self) -> str:
        return (
            f"LiveRequest(id={self.id}, source={self.source!r}, "
            f"n_emitted_tokens={self.n_emitted_tokens} of {self.n_output_tokens})"
        )

"""State of each request's answer while it is served: exits taken and impairments met by its tokens."""

from __future__ import annotations

from edgesim.engine.answer_quality import Worth
from edgesim.engine.answers.exits import Exiting, Leaving
from edgesim.engine.answers.impairments import ALL, Impairment, error_variance, meet
from edgesim.engine.answers.measured_answers import Answering
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.errors import ContractError
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.world.world import World

__all__ = ["Answer", "RequestAnswers"]


class Answer(Leaving):
    """State of one request's answer while it is being served.

    Attributes
    ----------
    errors
        Impairments of its tensors: by kind and token, the sum and number of errors.
    n_brought_before
        Number of tokens delivered by earlier attempts, for which nothing more is recorded.
    """

    __slots__ = ("errors", "n_brought_before")

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[Impairment, dict[int, tuple[float, int]]] = {}
        self.n_brought_before = 0


class RequestAnswers:
    """The answers of a run's requests until they have ended."""

    def __init__(self, world: World) -> None:
        self._n_blocks = world.model.n_blocks
        self._answering = Answering(world.model.n_blocks, world.exits, world.quality)
        self._exiting = Exiting(world.exits, world.paths)
        self._of: dict[LiveRequest, Answer] = {}

    def of(self, request: LiveRequest) -> Answer:
        """Return the state of a request's answer."""
        answer = self._of.get(request)
        if answer is None:
            answer = self._of[request] = Answer()
        return answer

    def knows(self, name: str) -> bool:
        """Whether answers under a kind of impairment were measured, after any block."""
        return self._answering.knows(name)

    def impair(
        self,
        request: LiveRequest,
        name: str,
        level: float,
        *,
        block: int | None = None,
        n_devices: int | None = None,
        token: Token | None = None,
        count: int = 1,
    ) -> None:
        """Record a channel impairment; see :meth:`edgesim.engine.cluster.Cluster.impair`."""
        is_split = block is None or (isinstance(block, int) and 1 <= block <= self._n_blocks)
        is_group = n_devices is None or (isinstance(n_devices, int) and n_devices >= 1)
        if not level >= 0 or count < 1 or not is_split or not is_group:
            raise ContractError(
                f"impair: {name} at level {level}, {count} times, after block {block}; expected a level of 0 "
                f"or more, at least once, after one of {self._n_blocks} blocks or none"
            )
        kind = (name, block, n_devices)
        self._answering.check(kind)
        if request.ended_at_s is not None:
            return  # the answer is complete
        answer = self.of(request)
        if token is None or token.index >= answer.n_brought_before:
            meet(answer.errors, kind, ALL if token is None else token.index, level, count)

    def leaves(
        self,
        request: LiveRequest,
        token: Token,
        block: int,
        *,
        confidence: float | None = None,
        entropy: float | None = None,
        rule: ExitRule | None = None,
        caches: CacheFill | str | None = None,
    ) -> CacheFill | None:
        """Record a token's exit after `block` blocks, and return its rule for caches; None if no exit."""
        answer = self.of(request)
        is_right = self._exiting.leaves(
            request,
            answer,
            token.index,
            block,
            confidence=confidence,
            entropy=entropy,
            rule=rule,
            caches=caches,
        )
        if is_right is None:
            return None
        answer.exits[token.index] = (block, is_right)
        return answer.caches

    def check_exits(self, rule: ExitRule, caches: CacheFill) -> None:
        """Raise InputError unless exits were measured with this rule and these caches."""
        self._exiting.check(rule, caches)

    def worth(self, request: LiveRequest) -> Worth:
        """Compute the quality of a request's answer, as far as it has been delivered."""
        answer = self.of(request)
        path = self._exiting.path_of(answer)
        worth = self._answering.of(
            request.sample, request.n_emitted_tokens, answer.exits, answer.errors, path
        )
        blocks = [block for block, _ in answer.exits.values()]
        return worth._replace(
            error_variance=error_variance(answer.errors),
            mean_exit_block=sum(blocks) / len(blocks) if blocks else None,
        )

    def forget(self, request: LiveRequest) -> None:
        """Drop the state of a request that has ended, or the undelivered part of an attempt that has failed.

        Delivered tokens count as they were computed.
        """
        answer = self._of.pop(request, None)
        if request.ended_at_s is not None:
            return
        n_brought = request.n_emitted_tokens
        kept = self.of(request)
        kept.n_brought_before = n_brought
        if answer is not None:
            kept.exits = {token: left for token, left in answer.exits.items() if token < n_brought}
            kept.errors = {
                kind: {token: met for token, met in of.items() if 0 <= token < n_brought}
                for kind, of in answer.errors.items()
            }

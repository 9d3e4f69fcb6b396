"""Verbs of a strategy that observe, decide and record, and take no simulated time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, overload

import numpy as np

from edgesim.engine.assembly import Assembly
from edgesim.engine.causality.begun_verb import Call
from edgesim.engine.observation.observation import Knowledge, Observation, View
from edgesim.engine.process.clock import Clock
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.world.world import World

__all__ = ["Insight"]


class Insight:
    """The verbs that take no time: observations, random draws, decisions and answer quality."""

    def __init__(self, world: World, clock: Clock, parts: Assembly) -> None:
        self.parts = parts
        self._world = world
        self._clock = clock
        self._answers, self._progress, self._ledger = parts.answers, parts.progress, parts.ledger
        self.decisions = parts.decisions

    @property
    def now_s(self) -> float:
        """The current simulated time [s]."""
        return self._clock._now

    @overload
    def observe(self) -> Observation: ...

    @overload
    def observe(self, *, at: str) -> Knowledge: ...

    def observe(self, *, at: str | None = None) -> View:
        """Return what a scheduler could know: queues, requests, memory, batteries, links, devices up or down.

        Parameters
        ----------
        at
            A device: return only what is known there, its own state now and other devices as in their last
            reports that arrived there (:meth:`report`). None: the current state of everything.
        """
        looking = self.parts.looking
        return Observation(looking) if at is None else Knowledge(looking, at, self.parts.reports.at(at))

    def ask(
        self,
        name: str,
        seen: Sequence[float],
        choose: Callable[[], int],
        *,
        n_actions: int,
        allowed: Sequence[bool] | None = None,
        request: LiveRequest | None = None,
    ) -> Generator[Any, Any, int]:
        """Make a decision that a learner may make instead: ``action = yield from cluster.ask(...)``.

        In a run the action is what `choose` returns, at once; no time passes. In an environment for learners
        that makes the decisions of this name (``edgesim.gym.DecisionEnv``), the run stops here and continues
        with the learner's action; `choose` is not called then.

        Parameters
        ----------
        name
            Name of the decision among those of the strategy, such as ``split`` or ``server``.
        seen
            The features on which to decide: finite numbers, always as many for one decision.
        choose
            Returns the strategy's own choice, an action.
        n_actions
            Actions are 0, ..., `n_actions` - 1; the same number every time for one decision.
        allowed
            Which actions are possible now; None: all.
        request
            The request that the decision concerns, if it concerns a single one.

        Raises
        ------
        ContractError
            If the chosen action is no action or is not allowed, no action is allowed, or the features are not
            finite or change in number.
        """
        asking = self.decisions.ask(name, seen, choose, n_actions=n_actions, allowed=allowed, request=request)
        call = Call("ask", (name,), None if request is None else request.id)
        return self._progress.attendance.note(call, asking)  # type: ignore[return-value]

    def random(self, name: str, request: LiveRequest | None = None) -> np.random.Generator:
        """Return a random stream that belongs to the strategy; successive calls continue the same stream.

        The draws depend only on the scenario's seed, the replication, the name and the request, so a
        strategy's choices do not depend on other draws or on their order. Strategies that use the same names
        get the same numbers.

        Parameters
        ----------
        name
            Purpose of the stream, such as ``explore``.
        request
            The request whose stream it is, until that request ends (repeated attempts continue one stream);
            None: the stream of the run. In ``serve`` use the request's stream: draws from a stream of the run
            are assigned in the order in which requests draw.
        """
        own = self.parts.own_streams
        return own.of(name) if request is None else own.of(name, request.id)

    @property
    def measures_answers(self) -> bool:
        """Whether the world has measured answers for :meth:`exits` to replay."""
        return self._world.exits is not None

    @property
    def exit_blocks(self) -> tuple[int, ...]:
        """Exits of the measured answers, as numbers of blocks, the model's own head last; empty if none."""
        return () if self._world.exits is None else self._world.exits.blocks

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
        """Record a channel impairment of a request's tensors; its answer is taken as measured under it.

        Parameters
        ----------
        name, level, block, n_devices
            As measured (:mod:`edgesim.model.answers.impairment`): ``noise`` and its normalised error on the
            sums of an all-reduce, ``erasure`` and its probability after a block, ... The mean error over all
            impairments of one kind that a token has met, in the attempt that delivered it, determines the
            answer. Calls after the request's end have no effect.
        token
            The token whose pass is impaired; only this token's answer degrades. None: all tokens.
        count
            Number of sums or messages impaired at this level.

        Raises
        ------
        InputError
            If the scenario has measured answers, but none for this kind of impairment.
        ContractError
            If there is no such level or block.
        """
        self._answers.impair(request, name, level, block=block, n_devices=n_devices, token=token, count=count)

    def exits(
        self,
        request: LiveRequest,
        token: Token,
        block: int,
        *,
        confidence: float | None = None,
        entropy: float | None = None,
        rule: ExitRule | None = None,
        caches: CacheFill | str | None = None,
    ) -> bool:
        """Return whether a token may exit after this many blocks, replayed from measured answers.

        The block at which each token exited, and whether its answer was right, are recorded in the trace.

        A token that exits has no keys and values in later blocks. If a later token goes deeper, they are
        computed with it (see :meth:`compute`) or propagated (:meth:`fill`), or no token goes deeper than the
        first. Measured exits differ between these methods, so all calls for one request must give the same
        `caches`.

        Parameters
        ----------
        block
            Number of blocks that the token has passed; the measured model must have an exit there.
        confidence
            Least confidence at which the token exits. It always exits at the model's own head.
        entropy
            Alternatively, the greatest entropy [nats] at which it exits.
        rule
            Alternatively, thresholds for all exits, of which the one for this exit is used.
        caches
            ``recompute`` (if not given), ``propagate`` or ``same-path``: see
            :mod:`edgesim.model.answers.exit_paths`. ``propagate`` needs a rule that was measured, the same
            for all tokens of a request, and every exit has to be evaluated in order. With ``same-path`` all
            tokens take the exit of token 0.

        Raises
        ------
        InputError
            If answers with propagated caches were not measured, or not with this rule; see
            :meth:`check_exits`.
        """
        left = self._answers.leaves(
            request, token, block, confidence=confidence, entropy=entropy, rule=rule, caches=caches
        )
        if left is None:
            return False
        self._ledger.leave(request, token, block, left)
        return True

    def check_exits(self, rule: ExitRule, caches: CacheFill | str) -> None:
        """Raise InputError unless answers were measured with this exit rule and these caches."""
        self._answers.check_exits(rule, CacheFill(caches))

    def missing(self, request: LiveRequest, block: int) -> int:
        """Return how many tokens before the one in hand exited early and lack keys and values in a block.

        A message to the device that computes the block next must carry their hidden states in addition to
        those of the pass in hand, each of ``request.token_activation_bytes``.
        """
        return self._ledger.missing(request, block)

"""What a strategy may know, decide and note in a run, without setting anything in motion."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, overload

import numpy as np

from edgesim.engine.assembly import Assembly
from edgesim.engine.causality.begun import Call
from edgesim.engine.observation.observation import Knowledge, Observation, View
from edgesim.engine.process.clock import Clock
from edgesim.engine.request import LiveRequest
from edgesim.engine.token import Token
from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.world.world import World

__all__ = ["Insight"]


class Insight:
    """The verbs that take no time: what a strategy sees, draws and decides, and what answers are worth."""

    def __init__(self, world: World, clock: Clock, parts: Assembly) -> None:
        self.parts = parts
        self._world = world
        self._clock = clock
        self._answers, self._progress, self._ledger = parts.answers, parts.progress, parts.ledger
        self.decisions = parts.decisions

    @property
    def now_s(self) -> float:
        """The present instant [s]."""
        return self._clock._now

    @overload
    def observe(self) -> Observation: ...

    @overload
    def observe(self, *, at: str) -> Knowledge: ...

    def observe(self, *, at: str | None = None) -> View:
        """What a scheduler could know now: queues, requests, memory, battery, links, and who is up.

        Parameters
        ----------
        at
            A device: then only what this one knows, itself now and others as their last reports said that
            have arrived there (:meth:`report`). None: everything, now.
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
        """Decide, where others may want to: ``action = yield from cluster.ask(...)``.

        In a run it is what `choose` returns, at once; no time passes. In an environment for learners that
        makes the decisions of this name (``edgesim.gym.DecisionEnv``), the run stops here and goes on with
        the learner's action; `choose` is not called then.

        Parameters
        ----------
        name
            Which decision it is, among those of the strategy: ``split``, ``server``.
        seen
            What it is made of; finite numbers, as many of one decision every time.
        choose
            The strategy's own choice, an action.
        n_actions
            Actions are 0, ..., `n_actions` - 1, as many of one decision every time.
        allowed
            Which are possible now; None: all.
        request
            Whose decision it is, if one request's.

        Raises
        ------
        ContractError
            If an action is chosen that is none or not allowed, none is allowed, or what is seen is not finite
            or changes its length.
        """
        asking = self.decisions.ask(name, seen, choose, n_actions=n_actions, allowed=allowed, request=request)
        call = Call("ask", (name,), None if request is None else request.id)
        return self._progress.attendance.note(call, asking)  # type: ignore[return-value]

    def random(self, name: str, request: LiveRequest | None = None) -> np.random.Generator:
        """A stream of random numbers of the strategy's own, with which successive calls go on.

        Its draws follow from the scenario's seed, the replication, the name and the request, and from
        nothing else, so that a strategy's choices are the same whatever else draws, and in whichever order.
        Strategies that use the same names meet the same numbers.

        Parameters
        ----------
        name
            What it is for, such as ``explore``.
        request
            Whose it is, until that has ended (attempts at it go on with one stream); None: the run's. In
            ``serve`` ask for the request's: draws from one stream of the run are dealt out in the order in
            which requests come to draw.
        """
        own = self.parts.own_streams
        return own.of(name) if request is None else own.of(name, request.id)

    @property
    def measures_answers(self) -> bool:
        """Whether the world carries measured answers for :meth:`exits` to replay."""
        return self._world.exits is not None

    @property
    def exit_blocks(self) -> tuple[int, ...]:
        """After how many blocks exits were measured, the model's own head the last; none if none were."""
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
        """Note what a channel has done to tensors of a request; its answer counts as measured under that.

        Parameters
        ----------
        name, level, block, n_devices
            As measured (:mod:`edgesim.model.answers.impairment`): ``noise`` and its normalised error on the
            sums of an all-reduce, ``erasure`` and its probability after a block, ... What counts is the mean
            error over all that a token has met of a kind, in the attempt that delivered it. What comes after
            the request's end changes nothing.
        token
            Whose pass it was; that token's answer alone is the worse for it. None: all tokens'.
        count
            How many sums or messages have met this level.

        Raises
        ------
        InputError
            If the scenario has measured answers, but none under this kind.
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
        """Whether a token may leave the model after this many blocks: replayed from measured answers.

        The block at which each token has left, and whether its answer was right, go into the trace.

        A token that leaves has no keys and values in later blocks. If a later token goes deeper, they are
        computed with it (see :meth:`compute`), propagated (:meth:`fill`), or no token goes deeper than the
        first: what exits say then is not the same, and all of a request is asked with the same `caches`.

        Parameters
        ----------
        block
            Blocks that the token has passed; an exit of the measured model must stand there.
        confidence
            Least confidence with which it may leave. The model's own head always lets it go.
        entropy
            Or the most entropy [nats] with which it may.
        rule
            Or thresholds for all exits, of which this exit's counts.
        caches
            ``recompute`` (if not given), ``propagate`` or ``same-path``: see
            :mod:`edgesim.model.answers.exit_paths`. ``propagate`` needs a rule, the same for all tokens of a
            request, and one that was measured; every exit is to be asked in turn. With ``same-path`` the exit
            that token 0 takes is that of all.

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
        """Raise InputError unless what exits say was measured with this rule and these caches."""
        self._answers.check_exits(rule, CacheFill(caches))

    def missing(self, request: LiveRequest, block: int) -> int:
        """How many tokens before the one in hand have no keys and values in a block: they left early.

        A message to where that block is computed next has to carry their hidden states beside those of the
        pass in hand, each of ``request.token_activation_bytes``.
        """
        return self._ledger.missing(request, block)

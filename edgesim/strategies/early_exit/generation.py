"""Generation in which tokens leave early, along fixed stages of one device or of several.

A token that leaves after one stage has no keys and values in those behind. They are made when a later token
goes deeper, and not before: the states of what left wait at the stage where they did, travel to the next one
together with those of the first token that goes there, and are propagated, or pass it with that token.
Nothing is made or sent that no token asks for.
(CALM, Schuster et al. 2022, arXiv 2207.07061, propagates at once, on
one device: the same keys and values, and as many bytes, in more and smaller passes; EE-LLM, Chen et al. 2024,
arXiv 2312.04916, recomputes as is done here.)

The prompt passes all stages, as it was read when answers were measured
(:mod:`edgesim.measure.generation.leaving`), and its answer leaves on the way where an exit is sure; with
``same-path`` it goes no deeper than its answer.

Not modelled: a bound on how many tokens may wait (EE-LLM's forced full pass); a next token that starts while
the prompt is still on its way through later stages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from edgesim.model.answers.exit_paths import CacheFill
from edgesim.model.answers.exit_rule import ExitRule
from edgesim.strategy import Cluster, LiveRequest, Serving, Slice, Stage, Token

__all__ = ["generate"]


def generate(
    request: LiveRequest,
    cluster: Cluster,
    path: Sequence[Stage],
    thresholds: ExitRule | None,
    caches: CacheFill | str = CacheFill.RECOMPUTE,
    *,
    entering: Callable[[int], None] | None = None,
) -> Serving:
    """Decode all tokens of a request along stages, each token no further than the exit that is sure of it.

    To be waited for with ``yield from``. Every stage's device has room for the request reserved first, at one
    instant.

    Parameters
    ----------
    path
        Stages from the embedding to the model's head, whose parts follow one another; an exit is asked, and
        its head computed, where a part ends at one and holds a head. Neighbours may be on one device.
    thresholds
        When a token leaves; None: no exits. With ``propagate`` a rule that was measured
        (:meth:`~edgesim.engine.cluster.Cluster.check_exits`), all of whose exits stand at ends of parts,
        but for those that are never taken.
    caches
        ``propagate``, ``recompute`` or ``same-path``: see :mod:`edgesim.model.answers.exit_paths`.
    entering
        Called with a stage's number, from 0, before the prompt is sent there; may fail the request.

    Raises
    ------
    InputError
        If exits were not measured with these thresholds and caches.
    ContractError
        If the parts do not make up the model, or with ``propagate`` leave out an exit that tokens take.
    """
    how, first = CacheFill(caches), path[0].device
    asked = _asked(cluster, path, thresholds, how)
    yield from cluster.admit(request, dict.fromkeys(stage.device for stage in path))
    if entering is not None:
        entering(0)
    yield from cluster.send(request, request.source, first, request.prompt_bytes)
    for token in request.tokens():
        goes_on = token.index == 0 and not token.is_last and how is not CacheFill.SAME_PATH
        at, is_answered = first, False
        for number, stage in enumerate(path):
            if number:
                if entering is not None and token.index == 0:
                    entering(number)
                yield from _go_on(request, cluster, token, at, stage, how)
            at, asks = stage.device, number in asked and not is_answered
            part = Slice(stage.part.first, stage.part.last, stage.part.embedding, asks)
            if part.n_blocks or part.embedding or part.head:
                yield from cluster.compute(request, at, part, token)
            if not asks:
                continue
            leaves = thresholds is not None and cluster.exits(
                request, token, part.last, rule=thresholds, caches=how
            )
            if leaves or number == len(path) - 1:
                yield from _answer(request, cluster, token, at, first)
                if how is CacheFill.SAME_PATH:
                    asked = {number}  # of later tokens no other exit has a say
                if not goes_on:
                    break
                is_answered = True


def _asked(cluster: Cluster, path: Sequence[Stage], thresholds: ExitRule | None, how: CacheFill) -> set[int]:
    """Stages at whose ends a head answers: where a token may leave, and the last."""
    if thresholds is None:
        return {len(path) - 1}
    cluster.check_exits(thresholds, how)
    may_leave = dict(zip(cluster.exit_blocks, thresholds.thresholds, strict=False))
    found = {
        number
        for number, stage in enumerate(path)
        if stage.part.head and not math.isinf(may_leave.get(stage.part.last, math.inf))
    }
    return found | {len(path) - 1}


def _go_on(
    request: LiveRequest, cluster: Cluster, token: Token, at: str, stage: Stage, how: CacheFill
) -> Serving:
    """Carry a token to the next stage, with what waits before it, and propagate that if need be."""
    n_waiting = cluster.missing(request, stage.part.first)
    if at != stage.device:
        size_bytes = token.activation_bytes + n_waiting * request.token_activation_bytes
        yield from cluster.send(request, at, stage.device, size_bytes)
    if n_waiting and how is CacheFill.PROPAGATE:
        yield from cluster.fill(request, stage.device, stage.part)


def _answer(request: LiveRequest, cluster: Cluster, token: Token, at: str, first: str) -> Serving:
    """Let a token be delivered, and its id be where the next one begins."""
    if token.is_last or at == first:
        yield from cluster.emit(request, at, token)
    elif first == request.source:  # where the id is wanted anyway
        yield from cluster.send(request, at, first, request.token_bytes, carries="ids")
        yield from cluster.emit(request, first, token)
    else:
        yield from cluster.emit(request, at, token)
        yield from cluster.send(request, at, first, request.token_bytes, carries="ids")

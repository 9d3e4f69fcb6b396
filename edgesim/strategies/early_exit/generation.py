"""Generation in which tokens leave early, along fixed stages on one device or several.

A token that leaves after one stage has no keys and values in later ones. They are computed only when a later
token goes deeper: the states of the tokens that left wait at that stage, are sent to the next one together
with those of the first token that continues, and are propagated there, or pass it with that token. No state
is computed or sent that no token needs. (CALM, Schuster et al. 2022, arXiv 2207.07061, propagates at once, on
one device: the same keys and values, and as many bytes, in more and smaller passes; EE-LLM, Chen et al. 2024,
arXiv 2312.04916, recomputes as is done here.)

The prompt passes all stages, as it did when answers were measured
(:mod:`edgesim.measure.generation.leaving`), and its answer leaves at the first exit that is certain enough;
with ``same-path`` the prompt goes no deeper than its answer.

Not modelled: a bound on the number of waiting tokens (EE-LLM's forced full pass); a next token that starts
while the prompt still passes later stages.
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
    """Decode all tokens of a request along stages, each token to the first exit that is certain enough.

    Use with ``yield from``. First, memory for the request is reserved on the devices of all stages at once.

    Parameters
    ----------
    path
        Stages from the embedding to the model's head, with consecutive parts. Where a part ends at an exit
        and holds a head, the head is computed and the exit evaluated. Neighbouring stages may share a device.
    thresholds
        Rule by which tokens leave; None: no exits. With ``propagate``, a measured rule
        (:meth:`~edgesim.engine.cluster.Cluster.check_exits`) whose exits are all at ends of parts, except
        those that are never taken.
    caches
        ``propagate``, ``recompute`` or ``same-path``: see :mod:`edgesim.model.answers.exit_paths`.
    entering
        Called with a stage's number, from 0, before the prompt is sent there; may fail the request.

    Raises
    ------
    InputError
        If exits were not measured with these thresholds and caches.
    ContractError
        If the parts do not cover the model, or with ``propagate`` leave out an exit that tokens take.
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
                    asked = {number}  # later tokens leave at this exit only
                if not goes_on:
                    break
                is_answered = True


def _asked(cluster: Cluster, path: Sequence[Stage], thresholds: ExitRule | None, how: CacheFill) -> set[int]:
    """Return the stages whose head is computed: those where a token may leave, and the last."""
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
    """Send a token to the next stage with the states waiting before it, and propagate these if required."""
    n_waiting = cluster.missing(request, stage.part.first)
    if at != stage.device:
        size_bytes = token.activation_bytes + n_waiting * request.token_activation_bytes
        yield from cluster.send(request, at, stage.device, size_bytes)
    if n_waiting and how is CacheFill.PROPAGATE:
        yield from cluster.fill(request, stage.device, stage.part)


def _answer(request: LiveRequest, cluster: Cluster, token: Token, at: str, first: str) -> Serving:
    """Emit a token, and send its id to the device where the next one starts."""
    if token.is_last or at == first:
        yield from cluster.emit(request, at, token)
    elif first == request.source:  # which needs the id in any case
        yield from cluster.send(request, at, first, request.token_bytes, carries="ids")
        yield from cluster.emit(request, first, token)
    else:
        yield from cluster.emit(request, at, token)
        yield from cluster.send(request, at, first, request.token_bytes, carries="ids")

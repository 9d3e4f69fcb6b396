"""Passes of a worker's part of a model after sleeps, the host idle meanwhile or another one computing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import cycle
from time import perf_counter, sleep
from typing import Any

import torch

from edgesim.measure.real.part import Part, Tensor
from edgesim.measure.real.ring_socket import STOP, Header, Receiver, Sender

__all__ = ["accompany", "rested"]

_ROUNDS = 3  # of measuring what a part loses by sleeping: it is a tenth, by which passes scatter, too
_PIECE = 1 << 17  # numbers in a piece of weights
_PIECE_S = 0.1e-3  # time of the product with a piece: half a megabyte at a few gigabytes per second


@torch.inference_mode()
def rested(
    part: Part, n_prompt: int, rests_s: Sequence[float], companion: Sender | None = None, seed: int = 0
) -> dict[str, Any]:
    """Time decoding steps of a part, each right after another and again after a sleep; likewise prompts.

    Prompts, and the sleeps before them, follow decoding steps, as in a process that has answered another one
    before. A first part computes the head as well, as it does between two tokens; after a prompt it is timed
    apart, since the prompt has gone round the ring in the meantime.

    Parameters
    ----------
    n_prompt
        Tokens in the cache at the start.
    rests_s
        Sleeps [s], in the order in which they are tried; the last is the longest.
    companion
        Connection to a process that computes during the sleeps (:func:`accompany`); None: none does.

    Returns
    -------
    dict
        Seconds, each a list of several: ``awake_s``; ``rested_s``, each with one for each sleep;
        ``prompts_awake_s``, and ``prompts_rested_s`` after the longest sleep; for a first part also
        ``heads_awake_s`` and ``heads_rested_s``.
    """
    generator = torch.Generator().manual_seed(seed)
    prompt = part.example(n_prompt, generator)
    cache, states, n_context = part.cache(), prompt, 0

    def prompt_s() -> float:
        nonlocal cache, states, n_context
        cache, n_context = part.cache(), n_prompt
        began_at_s = perf_counter()
        states = part.run(cache, prompt, 0)
        return perf_counter() - began_at_s

    prompt_s()

    def head_s() -> float:
        began_at_s = perf_counter()
        part.logits(states)
        return perf_counter() - began_at_s

    given = part.example(1, generator)

    def step_s() -> float:
        nonlocal states, n_context
        began_at_s = perf_counter()
        if part.is_first:
            part.logits(states)
        states = part.run(cache, given, n_context)
        n_context += 1
        return perf_counter() - began_at_s

    def rest(number: int) -> None:
        if companion is not None:
            companion.send(Header(request=number, n_new=1, n_context=0), memoryview(b""))
        sleep(rests_s[number])

    longest = len(rests_s) - 1
    found: defaultdict[str, list[Any]] = defaultdict(list)
    if part.is_first:
        found["heads_awake_s"].append(head_s())
        prompt_s()  # as in a ring, where a head follows blocks
        rest(longest)
        found["heads_rested_s"].append(head_s())
    step_s()
    for _ in range(_ROUNDS):
        rested_s = []
        for number in range(len(rests_s)):
            found["awake_s"].append(step_s())
            rest(number)
            rested_s.append(step_s())
        found["rested_s"].append(rested_s)
        rest(longest)
        found["prompts_rested_s"].append(prompt_s())
        step_s()
        step_s()
        found["prompts_awake_s"].append(prompt_s())
        step_s()
    if companion is not None:
        companion.send(STOP, memoryview(b""))
    return dict(found)


@torch.inference_mode()
def accompany(part: Part, rests_s: Sequence[float], receiver: Receiver) -> None:
    """Compute while another process sleeps in :func:`rested`, until the final message arrives.

    What is computed is what decoding consists of, products of weights and vectors, in pieces so short that
    the last one ends before the sleep does.

    Parameters
    ----------
    rests_s
        The other process's sleeps [s].
    """
    pieces = cycle(_pieces(part))
    while (header := receiver.receive()[0]).n_new > 0:
        until_s = header.due_at_s + rests_s[header.request] - _PIECE_S
        while perf_counter() < until_s:
            piece, vector = next(pieces)
            torch.mv(piece, vector)


def _pieces(part: Part) -> list[tuple[Tensor, Tensor]]:
    """Return all weights of a part's blocks in pieces of some rows, and vectors to multiply them by."""
    pieces = []
    for weight in part.weights():
        n_columns = weight.shape[1]
        pieces += [(rows, torch.ones(n_columns)) for rows in weight.split(max(1, _PIECE // n_columns))]
    return pieces

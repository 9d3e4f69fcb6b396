"""Generation loops of worker processes, alone, in a group or along a ring, with recorded instants.

All instants are of the host's monotonic clock, which its processes share.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import inf
from time import perf_counter, sleep
from typing import Any, NamedTuple

import torch
from transformers import DynamicCache

from edgesim.measure.real.part import Part, Tensor
from edgesim.measure.real.ring_socket import STOP, Header, Receiver, Sender

__all__ = ["Visit", "alone", "busy_s", "follow", "generated", "lead", "rested"]


_ROUNDS = 3  # of measuring what a part loses by sleeping: it is a tenth, by which passes scatter, too


class Visit(NamedTuple):
    """One pass through a part that is fed by another process: its tokens and instants."""

    n_new: int
    n_context: int
    due_at_s: float
    """Sending the message began; over a shaped link: its last bit is due."""
    arrived_at_s: float
    """The process is awake and the message begins to arrive."""
    read_at_s: float
    """The message has been read into a tensor."""
    ready_at_s: float
    """The first block or the head begins; transformers' own pass has prepared positions and masks."""
    done_at_s: float
    """Computing has ended."""
    sent_at_s: float
    """The result has been sent."""


def busy_s(visits: Sequence[Visit]) -> float:
    """Return for how long a process handled messages and computed [s].

    Work on a message begins when its first bytes arrive, or, where it was due during the visit before, as
    soon as that has ended: reading its header is work then, not waiting. Not distinguished: a message whose
    sending began during that visit and ended after it, for which the process waits for a moment.
    """
    ended_at_s, total_s = -inf, 0.0
    for visit in visits:
        begun_at_s = ended_at_s if visit.due_at_s <= ended_at_s else visit.arrived_at_s
        ended_at_s = visit.sent_at_s
        total_s += ended_at_s - begun_at_s
    return total_s


@torch.inference_mode()
def generated(
    model: Any, prompt: Sequence[int], n_out: int, between: Callable[[], object] | None = None
) -> dict[str, Any]:
    """Generate greedily with transformers' own `generate`.

    Parameters
    ----------
    between
        Called after every token but the first and the last. A pass like the one before is made afterwards, so
        that the next token finds the caches as without a pause. The duration of both is subtracted from the
        instants.
    """
    ids = torch.tensor([list(prompt)])
    pause = None if between is None else _pause(model, ids, between)
    streamer = _Instants(n_out, pause)
    began_at_s = perf_counter()
    answer = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        min_new_tokens=n_out,
        max_new_tokens=n_out,
        pad_token_id=0,
        streamer=streamer,
    )
    instants = streamer.instants[1:]  # the first entry is the prompt
    return {
        "began_at_s": began_at_s,
        "emitted_at_s": [instants],
        "ids": [answer[0, len(prompt) :].tolist()],
    }


def _pause(model: Any, ids: Tensor, between: Callable[[], object]) -> Callable[[], object]:
    """Return a pause between tokens: what is called in it, and a decoding step like the one before it."""
    cache = DynamicCache(config=model.config)

    def pause() -> None:
        between()
        if not cache.get_seq_length():
            model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        model(ids[:, -1:], past_key_values=cache, use_cache=True, logits_to_keep=1)

    return pause


class _Instants:
    """A streamer that records only when tokens arrive, excluding the pauses between them."""

    def __init__(self, n_out: int, between: Callable[[], object] | None) -> None:
        self.instants: list[float] = []
        self._n_out, self._between, self._paused_s = n_out, between, 0.0

    def put(self, _: Tensor) -> None:
        came_at_s = perf_counter()
        self.instants.append(came_at_s - self._paused_s)
        n_tokens = len(self.instants) - 1
        if self._between is not None and 1 < n_tokens < self._n_out:
            self._between()
            self._paused_s += perf_counter() - came_at_s

    def end(self) -> None:
        pass


@torch.inference_mode()
def alone(part: Part, prompt: Sequence[int], n_out: int) -> dict[str, Any]:
    """Generate with all blocks in this process, token by token as in a ring; time the steps in between."""
    cache, ids = part.cache(), torch.tensor([list(prompt)])
    emitted_at_s, chosen, steps_s, choices_s = [], [], [], []
    ends_s = 0.0
    n_context = 0
    began_at_s = stepped_at_s = perf_counter()
    for _ in range(n_out):
        states = part.run(cache, ids, n_context)
        steps_s.append(part.embedding_at_s - stepped_at_s)
        n_context += ids.shape[1]
        through_at_s = perf_counter()
        logits = part.logits(states)
        stepped_at_s = perf_counter()
        ends_s += part.ready_at_s - part.embedding_at_s + stepped_at_s - through_at_s
        token = int(logits.argmax())
        emitted_at_s.append(perf_counter())
        choices_s.append(emitted_at_s[-1] - stepped_at_s)
        chosen.append(token)
        ids = torch.tensor([[token]])
    return {
        "began_at_s": began_at_s,
        "emitted_at_s": [emitted_at_s],
        "ids": [chosen],
        "before_s": steps_s[0],
        "first_step_s": steps_s[0] + choices_s[0],
        "steps_s": steps_s[1:],
        "ends_s": ends_s,
    }


@torch.inference_mode()
def lead(
    part: Part, prompts: Sequence[Sequence[int]], n_out: int, sender: Sender, receiver: Receiver
) -> dict[str, Any]:
    """Generate along a ring as its first member, with several samples in flight, in order of message arrival.

    As in :mod:`edgesim.strategies.pipeline`: a returning state yields a token, whose pass through the first
    blocks follows at once.
    """
    caches = [part.cache() for _ in prompts]
    emitted_at_s: list[list[float]] = [[] for _ in prompts]
    chosen: list[list[int]] = [[] for _ in prompts]
    visits: list[Visit] = []

    def start(request: int, ids: Tensor, n_context: int) -> tuple[float, float]:
        states = part.run(caches[request], ids, n_context)
        done_at_s = perf_counter()
        sender.send(Header(request, ids.shape[1], n_context), _bytes(states))
        return done_at_s, perf_counter()

    began_at_s = perf_counter()
    for request, prompt in enumerate(prompts):
        asked_at_s = perf_counter()
        done_at_s, sent_at_s = start(request, torch.tensor([list(prompt)]), 0)
        at_s = asked_at_s, asked_at_s, asked_at_s, asked_at_s, done_at_s, sent_at_s
        visits.append(Visit(len(prompt), 0, *at_s))
    for _ in range(n_out * len(prompts)):
        header, arrived_at_s, data = receiver.receive()
        states = _states(data, header, part.hidden_size)
        ready_at_s = perf_counter()
        request, n_tokens = header.request, header.n_new + header.n_context
        token = int(part.logits(states).argmax())
        done_at_s = sent_at_s = perf_counter()
        emitted_at_s[request].append(done_at_s)
        chosen[request].append(token)
        if len(chosen[request]) < n_out:
            done_at_s, sent_at_s = start(request, torch.tensor([[token]]), n_tokens)
        at_s = header.due_at_s, arrived_at_s, ready_at_s, ready_at_s, done_at_s, sent_at_s
        visits.append(Visit(header.n_new, header.n_context, *at_s))
    sender.send(STOP, memoryview(b""))
    receiver.receive()
    return {"began_at_s": began_at_s, "emitted_at_s": emitted_at_s, "ids": chosen, "visits": visits}


@torch.inference_mode()
def follow(part: Part, sender: Sender, receiver: Receiver) -> dict[str, Any]:
    """Compute as another member of a ring until the final message arrives."""
    caches: dict[int, DynamicCache] = {}
    visits: list[Visit] = []
    while True:
        header, arrived_at_s, data = receiver.receive()
        if header.n_new == 0:
            sender.send(header, memoryview(b""))
            return {"visits": visits}
        if header.request not in caches:
            caches[header.request] = part.cache()
        states = _states(data, header, part.hidden_size)
        read_at_s = perf_counter()
        states = part.run(caches[header.request], states, header.n_context)
        done_at_s = perf_counter()
        sender.send(header, _bytes(states))
        at_s = header.due_at_s, arrived_at_s, read_at_s, part.ready_at_s, done_at_s, perf_counter()
        visits.append(Visit(header.n_new, header.n_context, *at_s))


@torch.inference_mode()
def rested(
    part: Part, n_prompt: int, rests_s: Sequence[float], head_rests_s: Sequence[float], seed: int = 0
) -> dict[str, Any]:
    """Time decoding steps of a part, each right after another and again after a sleep; likewise prompts.

    Prompts, and the sleeps before them, follow decoding steps, as in a process that has answered another one
    before. A first part computes the head as well, as it does between two tokens; after a prompt it is timed
    apart, since the prompt has gone round the ring in the meantime.

    Parameters
    ----------
    n_prompt
        Tokens in the cache at the start.
    rests_s, head_rests_s
        Sleeps [s] before decoding steps and before heads, in the order in which they are tried.

    Returns
    -------
    dict
        Seconds, each a list of several: ``awake_s``; ``rested_s``, each with one for each sleep;
        ``prompts_awake_s``, ``prompts_rested_s`` after the longest sleep, and ``prompts_next_s`` right behind
        those; for a first part also ``heads_awake_s`` and ``heads_rested_s``, with one for each of its
        sleeps.
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

    found: defaultdict[str, list[Any]] = defaultdict(list)
    if part.is_first:
        found["heads_awake_s"].append(head_s())
        heads_s = []
        for rest_s in head_rests_s:
            prompt_s()  # as in a ring, where a head follows blocks
            sleep(rest_s)
            heads_s.append(head_s())
        found["heads_rested_s"].append(heads_s)
    step_s()
    for _ in range(_ROUNDS):
        rested_s = []
        for rest_s in rests_s:
            found["awake_s"].append(step_s())
            sleep(rest_s)
            rested_s.append(step_s())
        found["rested_s"].append(rested_s)
        sleep(max(rests_s))
        found["prompts_rested_s"].append(prompt_s())
        found["prompts_next_s"].append(prompt_s())
        step_s()
        step_s()
        found["prompts_awake_s"].append(prompt_s())
        step_s()
    return dict(found)


def _bytes(states: Tensor) -> memoryview:
    flat: Any = states.contiguous().view(-1).numpy()
    return memoryview(flat).cast("B")


def _states(data: bytearray, header: Header, hidden_size: int) -> Tensor:
    return torch.frombuffer(data, dtype=torch.float32).view(1, header.n_new, hidden_size)

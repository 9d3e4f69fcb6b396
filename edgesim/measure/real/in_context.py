"""Measuring what messages and sums cost in use: a model at work in two processes, against the same in one.

A tight loop of messages or sums finds both ends awake, their caches full of nothing else, and no one late.
Amid computing a receiver sleeps and has to be woken, computes more slowly at first, and a sum waits for
whichever member is later; it costs several times as much. So a model is run here whose blocks are divided
between two processes. What a message or a sum takes is read off its own instants; what computing loses by it,
off the difference to the same model without messages or sums, run in turns so that the machine's drift falls
on both alike. The model is one of its own (:data:`CONTEXT`): what is found is meant for others.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError
from edgesim.measure.real.crew import Answer, Crew, Worker, free_cores
from edgesim.measure.typical import typical
from edgesim.model.architecture import Architecture
from edgesim.model.communication import Communication, MessageCost, SumCost

__all__ = ["CONTEXT", "Context", "form_ring", "join_group", "measure_communication"]

CONTEXT: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 896,
    "intermediate_size": 2432,
    "num_hidden_layers": 6,
    "num_attention_heads": 14,
    "num_key_value_heads": 14,
    "vocab_size": 8192,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}
"""A model of 66 M parameters, whose blocks take milliseconds and whose hidden size no usual model has."""

PATIENCE_S = 600.0
"""For any answer: a busy machine may take its time, a hanging one ends."""

_NAME = "context"
_DTYPE_BYTES = 4
_SEED = 5
_PROMPTS = (8, 32)
_N_OUT = 6  # so few that a shared host's speed is about the same in one way of computing as in the next
_DECODE = 1


def form_ring(crew: Crew, workers: Sequence[Worker]) -> None:
    """Connect workers to a ring, each to the one behind it."""
    secret = token_hex(16)
    ports = [
        told["port"] for told in crew.ask([(w, {"do": "listen"}) for w in workers], timeout_s=PATIENCE_S)
    ]
    following = [*ports[1:], ports[0]]
    crew.ask(
        [
            (worker, {"do": "connect", "port": port, "secret": secret})
            for worker, port in zip(workers, following, strict=True)
        ],
        timeout_s=PATIENCE_S,
    )
    crew.ask([(w, {"do": "accept", "secret": secret}) for w in workers], timeout_s=PATIENCE_S)


def join_group(crew: Crew, workers: Sequence[Worker], folder: Path) -> None:
    """Have workers meet in a group."""
    file = folder / f"meeting-{token_hex(8)}"
    crew.ask(
        [
            (worker, {"do": "join", "file": str(file), "rank": rank, "n_members": len(workers)})
            for rank, worker in enumerate(workers)
        ],
        timeout_s=PATIENCE_S,
    )


@dataclass
class Context:
    """Two workers with a model between them, and what was measured there.

    Parameters
    ----------
    crew, workers
        Two workers of a crew, in a ring and a group with each other.
    config
        The model's config, another than :data:`CONTEXT` for tests.
    """

    crew: Crew
    workers: tuple[Worker, Worker]
    config: dict[str, Any] = field(default_factory=lambda: CONTEXT)

    def __post_init__(self) -> None:
        self._architecture = Architecture.from_config(self.config, name=_NAME, dtype="float32")
        n_blocks = self._architecture.n_blocks
        of = {"do": "hold", "config": json.dumps(self.config), "name": _NAME, "seed": _SEED}
        cut = n_blocks // 2
        for name, parts in {
            "stage": ({"blocks": [0, cut]}, {"blocks": [cut, n_blocks]}),
            "chain": ({"blocks": [0, n_blocks]}, None),
            "shard": tuple({"blocks": [0, n_blocks], "shard": [rank, 2]} for rank in (0, 1)),
        }.items():
            orders = [
                (worker, {**of, "as": f"{_NAME}-{name}", **part})
                for worker, part in zip(self.workers, parts, strict=True)
                if part is not None
            ]
            self.crew.ask(orders, timeout_s=PATIENCE_S)
        self.begin()

    def measure(self, *, n_turns: int, n_out: int = _N_OUT, fastest: int = 1) -> Communication:
        """Measure at one go.

        Parameters
        ----------
        n_turns, n_out, fastest
            Of :meth:`turn` and :meth:`communication`.
        """
        self.begin()
        for _ in range(n_turns):
            self.turn(n_out)
        return self.communication(fastest)

    def begin(self) -> None:
        """Forget what was found before."""
        self._found = _Found(self._architecture.n_blocks)
        self._prompts = cycle(_PROMPTS)

    def turn(self, n_out: int = _N_OUT) -> None:
        """Let each way of computing have its turn once, in half a second: all with the same prompt.

        Parameters
        ----------
        n_out
            Tokens of each.
        """
        found, n_prompt = self._found, next(self._prompts)
        asked = {"prompt": _prompt(n_prompt, self._architecture.vocab_size), "n_out": n_out}
        first, second = self.workers
        one = self._ask([(first, {"do": "alone", "model": f"{_NAME}-chain", **asked})])[0]
        found.note("chain", one)
        found.steps_s += one["steps_s"]
        found.before_s.append(one["before_s"])
        lead = {"do": "lead", "model": f"{_NAME}-stage", "prompts": [asked["prompt"]], "n_out": n_out}
        led, followed = self._ask([(first, lead), (second, {"do": "follow", "model": f"{_NAME}-stage"})])
        found.note("ring", led)
        found.note_messages(led["visits"], followed["visits"])
        for sums in (True, False):
            order = {"do": "together", "model": f"{_NAME}-shard", "sums": sums, **asked}
            members = self._ask([(worker, order) for worker in self.workers])
            for rank, each in enumerate(members):
                found.note(f"{'sums' if sums else 'apart'} {rank}", each)
            if sums:
                found.note_sums(n_prompt, *(each["sums_s"] for each in members))

    def communication(self, fastest: int = 1) -> Communication:
        """Put together what was found since the beginning, in two turns at the least.

        Parameters
        ----------
        fastest
            As :func:`edgesim.measure.typical.typical` has it.
        """
        found = self._found
        found.fastest = fastest
        state_bytes = self._architecture.hidden_size * _DTYPE_BYTES
        messages, sums = [], []
        # What computing loses beside them is read off decoding: a prompt's pass is so long that its own
        # noise would hide it.
        # Of what a ring takes longer, the second part's own preparing is none of the messages'.
        longer_s = found.passes("ring") - found.passes("chain") - found.middle(found.preludes_s)
        slowed_s = longer_s / 2 - float(found.messages(_DECODE).sum())
        alone_s = max(found.passes(f"apart {rank}") for rank in (0, 1))
        together_s = max(found.passes(f"sums {rank}") for rank in (0, 1))
        late_s = (together_s - alone_s) / (2 * self._architecture.n_blocks) - found.sums(_DECODE)
        for n_new in (_DECODE, *_PROMPTS):
            send_s, transit_s, receive_s = found.messages(n_new).tolist()
            messages.append(MessageCost(n_new * state_bytes, send_s, transit_s, receive_s, slowed_s))
            sums.append(SumCost(n_new * state_bytes, max(0.0, found.sums(n_new) + late_s)))
        return Communication(
            messages=tuple(messages),
            sums=tuple(sums),
            n_members=2,
            context=f"a Llama of {self._architecture.n_parameters / 1e6:.0f} M parameters",
            step_before_s=found.middle(found.before_s),
            step_s=found.middle(found.steps_s),
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _ask(self, orders: Sequence[tuple[Worker, dict[str, Any]]]) -> list[Answer]:
        return self.crew.ask(orders, timeout_s=PATIENCE_S)


class _Found:
    """What turns gave: seconds by what they were of."""

    def __init__(self, n_blocks: int) -> None:
        self.fastest = 1
        self._n_sums = 2 * n_blocks
        self._passes_s: defaultdict[str, list[float]] = defaultdict(list)
        self._messages_s: defaultdict[int, list[tuple[float, float, float]]] = defaultdict(list)
        self._sums_s: defaultdict[int, list[float]] = defaultdict(list)
        self.preludes_s: list[float] = []
        self.steps_s: list[float] = []
        self.before_s: list[float] = []

    def note(self, way: str, answer: Answer) -> None:
        """Keep the times between tokens."""
        self._passes_s[way] += np.diff(answer["emitted_at_s"][0]).tolist()

    def note_messages(self, led: Sequence[Sequence[float]], followed: Sequence[Sequence[float]]) -> None:
        """Keep what a lone request's messages took, of the visits of a ring of two."""
        there = zip(led, followed, strict=False)  # the starter's last visit sends nothing on
        back = zip(followed, led[1:], strict=True)
        for sender, receiver in (*there, *back):
            n_new, _, arrived_at_s, read_at_s = receiver[:4]
            done_at_s, sent_at_s = sender[-2:]
            self._messages_s[int(n_new)].append(
                (sent_at_s - done_at_s, arrived_at_s - sent_at_s, read_at_s - arrived_at_s)
            )
        self.preludes_s += [visit[4] - visit[3] for visit in followed if visit[0] == _DECODE]

    def note_sums(self, n_prompt: int, *members: Sequence[tuple[float, float]]) -> None:
        """Keep how long sums took from when the last member came until all had left."""
        for number, instants in enumerate(zip(*members, strict=True)):
            n_new = n_prompt if number < self._n_sums else _DECODE
            entered_at_s, left_at_s = (max(each) for each in zip(*instants, strict=True))
            self._sums_s[n_new].append(left_at_s - entered_at_s)

    def middle(self, seconds: Sequence[float]) -> float:
        """What is believed of them."""
        return float(typical(seconds, self.fastest))

    def passes(self, way: str) -> float:
        """Typical time of a token after the first."""
        return self.middle(self._passes_s[way])

    def messages(self, n_new: int) -> NDArray[np.float64]:
        """Typical times of sending, on the way and receiving, of messages of so many tokens."""
        return np.array([self.middle(each) for each in zip(*self._messages_s[n_new], strict=True)])

    def sums(self, n_new: int) -> float:
        """Typical time of a sum of so many tokens."""
        return self.middle(self._sums_s[n_new])


def _prompt(n_tokens: int, vocabulary: int) -> list[int]:
    drawn = np.random.default_rng(n_tokens).integers(vocabulary, size=n_tokens)
    return [int(token) for token in drawn]


def measure_communication(
    *, config: dict[str, Any] | None = None, n_turns: int = 40, n_out: int = _N_OUT
) -> Communication:
    """Measure what messages and sums cost between two processes of this host.

    Raises
    ------
    InputError
        If this process may use one core only.
    """
    cores = free_cores()
    if len(cores) < 2:
        raise InputError(
            "messages and sums are measured between two processes on a core each, and this one may use "
            f"{len(cores)}; measure on a machine with more, or give it more"
        )
    with tempfile.TemporaryDirectory() as folder, Crew() as crew:
        pair = crew.hire("first", cores[0]), crew.hire("second", cores[1])
        form_ring(crew, pair)
        join_group(crew, pair, Path(folder))
        context = Context(crew, pair) if config is None else Context(crew, pair, config)
        context.measure(n_turns=len(_PROMPTS), n_out=n_out)  # warms up
        return context.measure(n_turns=n_turns, n_out=n_out)

"""Measure the cost of messages and sums in use: a model run by two processes, compared with one process.

In a tight loop of messages or sums, both ends are awake, their caches contain nothing else, and neither is
late. During computing, a receiver sleeps and must be woken, computes more slowly at first, and a sum waits
for its later member; the cost is several times as large. A model is therefore run here whose blocks are
divided between two processes. The time of a message or a sum is taken from its own recorded instants. The
loss of computing speed is the difference from the same model without messages or sums, run interleaved so
that the machine's drift affects both equally. The model is a separate one (:data:`CONTEXT`), since the
results are meant for other models.
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
from edgesim.measure.real.generation_loops import Visit
from edgesim.measure.real.worker_pool import Answer, Crew, Worker, free_cores
from edgesim.measure.trimmed_mean import typical
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
"""A model of 66 M parameters, whose blocks take milliseconds and whose hidden size no common model has."""

PATIENCE_S = 600.0
"""Timeout of any answer: long enough for a busy machine, and ends a hanging one."""

_NAME = "context"
_DTYPE_BYTES = 4
_SEED = 5
_PROMPTS = (8, 32)
_N_OUT = 6  # so few that a shared host's speed hardly changes from one mode of computing to the next
_DECODE = 1


def form_ring(crew: Crew, workers: Sequence[Worker]) -> None:
    """Connect workers to a ring, each to the next one."""
    secret = token_hex(16)
    ports = [
        answer["port"] for answer in crew.ask([(w, {"do": "listen"}) for w in workers], timeout_s=PATIENCE_S)
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
    """Join workers into a group."""
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
    """Two workers that share a model, and the measurements made with them.

    Parameters
    ----------
    crew, workers
        Two workers of a crew, connected to each other in a ring and a group.
    config
        The model's config; tests use another than :data:`CONTEXT`.
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
        """Make a complete measurement from the start.

        Parameters
        ----------
        n_turns, n_out, fastest
            As for :meth:`turn` and :meth:`communication`.
        """
        self.begin()
        for _ in range(n_turns):
            self.turn(n_out)
        return self.communication(fastest)

    def begin(self) -> None:
        """Discard earlier measurements."""
        self._found = _Found(self._architecture.n_blocks)
        self._prompts = cycle(_PROMPTS)

    def turn(self, n_out: int = _N_OUT) -> None:
        """Run each mode of computing once with the same prompt, and the ring also with two requests at once.

        This takes about a second in total.

        Parameters
        ----------
        n_out
            Tokens generated in each mode.
        """
        found, n_prompt = self._found, next(self._prompts)
        asked = {"prompt": _prompt(n_prompt, self._architecture.vocab_size), "n_out": n_out}
        first, second = self.workers
        one = self._ask([(first, {"do": "alone", "model": f"{_NAME}-chain", **asked})])[0]
        found.note("chain", one)
        found.steps_s += one["steps_s"]
        found.first_steps_s.append(one["first_step_s"])
        lead = {"do": "lead", "model": f"{_NAME}-stage", "prompts": [asked["prompt"]], "n_out": n_out}
        led, followed = self._ask([(first, lead), (second, {"do": "follow", "model": f"{_NAME}-stage"})])
        found.note("ring", led)
        found.note_messages(*_visits(led, followed))
        lead["prompts"] = [asked["prompt"]] * 2
        led, followed = self._ask([(first, lead), (second, {"do": "follow", "model": f"{_NAME}-stage"})])
        found.note_awake(*_visits(led, followed))
        for sums in (True, False):
            order = {"do": "together", "model": f"{_NAME}-shard", "sums": sums, **asked}
            members = self._ask([(worker, order) for worker in self.workers])
            for rank, each in enumerate(members):
                found.note(f"{'sums' if sums else 'apart'} {rank}", each)
            if sums:
                found.note_sums(n_prompt, *(each["sums_s"] for each in members))

    def communication(self, fastest: int = 1) -> Communication:
        """Return the costs measured since :meth:`begin`, over at least two turns.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        found = self._found
        found.fastest = fastest
        state_bytes = self._architecture.hidden_size * _DTYPE_BYTES
        messages, sums = [], []
        # The slowdown of computing is taken from decoding: the noise of a prompt's long pass would mask it.
        # The second part's own preparation is subtracted from the ring's extra time, being no message cost.
        longer_s = found.passes("ring") - found.passes("chain") - found.middle(found.preludes_s)
        slowed_s = longer_s / 2 - float(found.messages(_DECODE).sum())
        alone_s = max(found.passes(f"apart {rank}") for rank in (0, 1))
        together_s = max(found.passes(f"sums {rank}") for rank in (0, 1))
        late_s = (together_s - alone_s) / (2 * self._architecture.n_blocks) - found.sums(_DECODE)
        for n_new in (_DECODE, *_PROMPTS):
            send_s, transit_s, receive_s = found.messages(n_new).tolist()
            messages.append(
                MessageCost(n_new * state_bytes, send_s, transit_s, receive_s, slowed_s, *found.awake(n_new))
            )
            sums.append(SumCost(n_new * state_bytes, max(0.0, found.sums(n_new) + late_s)))
        return Communication(
            messages=tuple(messages),
            sums=tuple(sums),
            n_members=2,
            context=f"a Llama of {self._architecture.n_parameters / 1e6:.0f} M parameters",
            step_before_s=found.middle(found.first_steps_s),
            step_s=found.middle(found.steps_s),
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _ask(self, orders: Sequence[tuple[Worker, dict[str, Any]]]) -> list[Answer]:
        return self.crew.ask(orders, timeout_s=PATIENCE_S)


class _Found:
    """Measured seconds of all turns, by kind."""

    def __init__(self, n_blocks: int) -> None:
        self.fastest = 1
        self._n_sums = 2 * n_blocks
        self._passes_s: defaultdict[str, list[float]] = defaultdict(list)
        self._messages_s: defaultdict[int, list[tuple[float, float, float]]] = defaultdict(list)
        self._awake_s: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        self._sums_s: defaultdict[int, list[float]] = defaultdict(list)
        self.preludes_s: list[float] = []
        self.steps_s: list[float] = []
        self.first_steps_s: list[float] = []

    def note(self, way: str, answer: Answer) -> None:
        """Store the times between tokens."""
        self._passes_s[way] += np.diff(answer["emitted_at_s"][0]).tolist()

    def note_messages(self, led: Sequence[Visit], followed: Sequence[Visit]) -> None:
        """Store the durations of a single request's messages, from the visits of a ring of two."""
        there = zip(led, followed, strict=False)  # the starter's last visit sends nothing
        back = zip(followed, led[1:], strict=True)
        for sender, receiver in (*there, *back):
            self._messages_s[receiver.n_new].append(
                (
                    sender.sent_at_s - sender.done_at_s,
                    receiver.arrived_at_s - sender.sent_at_s,
                    receiver.read_at_s - receiver.arrived_at_s,
                )
            )
        self.preludes_s += [each.ready_at_s - each.read_at_s for each in followed if each.n_new == _DECODE]

    def note_awake(self, led: Sequence[Visit], followed: Sequence[Visit]) -> None:
        """Store the handling of messages to a receiver that is awake, from a ring of two with two requests.

        Taken are those messages back to the first member, which has the head as well and so is busier, that
        were sent before its pass before them had ended. Reading such a message begins when that pass ends.
        """
        for sender, previous, receiver in zip(followed, led[1:-1], led[2:], strict=True):
            free_at_s = previous.sent_at_s
            if sender.sent_at_s < free_at_s:
                self._awake_s[receiver.n_new].append(
                    (sender.sent_at_s - sender.done_at_s, receiver.read_at_s - free_at_s)
                )

    def note_sums(self, n_prompt: int, *members: Sequence[tuple[float, float]]) -> None:
        """Store the durations of sums, from the arrival of the last member until all have left."""
        for number, instants in enumerate(zip(*members, strict=True)):
            n_new = n_prompt if number < self._n_sums else _DECODE
            entered_at_s, left_at_s = (max(each) for each in zip(*instants, strict=True))
            self._sums_s[n_new].append(left_at_s - entered_at_s)

    def middle(self, seconds: Sequence[float]) -> float:
        """Return the typical value of some times."""
        return float(typical(seconds, self.fastest))

    def passes(self, way: str) -> float:
        """Return the typical time of a token after the first."""
        return self.middle(self._passes_s[way])

    def messages(self, n_new: int) -> NDArray[np.float64]:
        """Return the typical times of sending, transit and receiving, for messages of `n_new` tokens."""
        return np.array([self.middle(each) for each in zip(*self._messages_s[n_new], strict=True)])

    def awake(self, n_new: int) -> tuple[float, float] | tuple[None, None]:
        """Return the typical times of sending to a receiver that is awake, and of receiving by it.

        None if no message was of this kind.
        """
        if not self._awake_s[n_new]:
            return None, None
        send_s, receive_s = (self.middle(each) for each in zip(*self._awake_s[n_new], strict=True))
        return send_s, receive_s

    def sums(self, n_new: int) -> float:
        """Return the typical time of a sum of `n_new` tokens."""
        return self.middle(self._sums_s[n_new])


def _visits(*answers: Answer) -> list[list[Visit]]:
    return [[Visit(*each) for each in answer["visits"]] for answer in answers]


def _prompt(n_tokens: int, vocabulary: int) -> list[int]:
    drawn = np.random.default_rng(n_tokens).integers(vocabulary, size=n_tokens)
    return [int(token) for token in drawn]


def measure_communication(
    *, config: dict[str, Any] | None = None, n_turns: int = 40, n_out: int = _N_OUT
) -> Communication:
    """Measure the cost of messages and sums between two processes of this host.

    Raises
    ------
    InputError
        If this process may use only one core.
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

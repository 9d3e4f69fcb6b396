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
from collections.abc import Iterator, Sequence
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
from edgesim.measure.real.members import Members
from edgesim.measure.real.worker_pool import Answer, Crew, Worker, free_cores
from edgesim.measure.trimmed_mean import typical
from edgesim.model.architecture import Architecture
from edgesim.model.communication import Communication, MessageCost, SumCost

__all__ = ["CONTEXT", "SHORT_CONTEXT", "Context", "form_ring", "join_group", "measure_communication"]

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

SHORT_CONTEXT: dict[str, Any] = {
    **CONTEXT,
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "vocab_size": 2048,
}
"""A model of 4 M parameters, whose blocks take less than a millisecond each half."""

PATIENCE_S = 600.0
"""Timeout of any answer: long enough for a busy machine, and ends a hanging one."""

_DTYPE_BYTES = 4
_SEED = 5
_PROMPTS = (8, 32)
_WAYS = ("sums", "apart", "rests")
_N_RESTS = 499  # a prime, so that the same rests rarely meet the same halves of blocks
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
    name
        Name of the model in the workers; another for each context.
    """

    crew: Crew
    workers: tuple[Worker, Worker]
    config: dict[str, Any] = field(default_factory=lambda: CONTEXT)
    name: str = "context"

    def __post_init__(self) -> None:
        self._architecture = Architecture.from_config(self.config, name=self.name, dtype="float32")
        n_blocks = self._architecture.n_blocks
        self._state_bytes = self._architecture.hidden_size * _DTYPE_BYTES
        of = {"do": "hold", "config": json.dumps(self.config), "name": self.name, "seed": _SEED}
        cut = n_blocks // 2
        for name, parts in {
            "stage": ({"blocks": [0, cut]}, {"blocks": [cut, n_blocks]}),
            "chain": ({"blocks": [0, n_blocks]}, None),
            "shard": tuple({"blocks": [0, n_blocks], "shard": [rank, 2]} for rank in (0, 1)),
        }.items():
            orders = [
                (worker, {**of, "as": f"{self.name}-{name}", **part})
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
        self._prompts, self._sum_prompts = cycle(_PROMPTS), cycle(_PROMPTS)
        self._ways = cycle([_WAYS, _WAYS[::-1], _WAYS[::-1], _WAYS])  # each with either prompt
        self._random = np.random.default_rng(_SEED)

    def turn(self, n_out: int = _N_OUT) -> None:
        """Measure messages and sums once; this takes about a second.

        Parameters
        ----------
        n_out
            Tokens generated in each mode of computing.
        """
        self.turn_messages(n_out)
        self.turn_sums(n_out)

    def turn_messages(self, n_out: int = _N_OUT) -> None:
        """Run the chain, the ring, and the ring with two requests at once, all with the same prompt."""
        found = self._found
        _, asked = self._asked(self._prompts, n_out)
        first, second = self.workers
        one = self._ask([(first, {"do": "alone", "model": f"{self.name}-chain", **asked})])[0]
        found.note("chain", one)
        found.steps_s += one["steps_s"]
        found.before_s.append(one["before_s"])
        lead = {"do": "lead", "model": f"{self.name}-stage", "prompts": [asked["prompt"]], "n_out": n_out}
        led, followed = self._ask([(first, lead), (second, {"do": "follow", "model": f"{self.name}-stage"})])
        found.note("ring", led)
        found.note_messages(*_visits(led, followed))
        lead["prompts"] = [asked["prompt"]] * 2
        led, followed = self._ask([(first, lead), (second, {"do": "follow", "model": f"{self.name}-stage"})])
        found.note_awake(*_visits(led, followed))

    def turn_sums(self, n_out: int = _N_OUT) -> None:
        """Run the group with sums, without, and with sleeps in their place, all with the same prompt.

        What comes first finds colder caches; so every other turn is in reverse order.
        """
        n_prompt, asked = self._asked(self._sum_prompts, n_out)
        for way in next(self._ways):
            order = {"do": "together", "model": f"{self.name}-shard", "sums": way == "sums", **asked}
            if way == "rests":
                order["rests_s"] = self.rests_s()
            members = self._ask([(worker, order) for worker in self.workers])
            self._found.note_members(way, n_prompt, members)

    def rests_s(self) -> list[float]:
        """Draw sleeps as long as members waited in a decoding step's sums so far.

        They differ by a factor of ten, and a process loses less by a short and a long sleep than by two of
        their mean. Without any sum yet, they are of no length.
        """
        waits_s = self._found.waits_s or [0.0]
        drawn_s: list[float] = self._random.choice(waits_s, _N_RESTS).tolist()
        return drawn_s

    def communication(self, fastest: int = 1) -> Communication:
        """Return the costs measured since :meth:`begin`, over at least two turns.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        found = self._found
        found.fastest = fastest
        # The slowdown of computing is taken from decoding: the noise of a prompt's long pass would mask it.
        # The second part's own preparation is subtracted from the ring's extra time, being no message cost.
        longer_s = found.passes("ring") - found.passes("chain") - found.middle(found.preludes_s)
        slowed_s = longer_s / 2 - float(found.messages(_DECODE).sum())
        messages = []
        for n_new in (_DECODE, *_PROMPTS):
            send_s, transit_s, receive_s = found.messages(n_new).tolist()
            size_bytes = n_new * self._state_bytes
            messages.append(
                MessageCost(size_bytes, send_s, transit_s, receive_s, slowed_s, *found.awake(n_new))
            )
        return Communication(
            messages=tuple(messages),
            sums=self.sum_costs(fastest),
            slowed_by_sum_s=found.slowed_by_sum_s(),
            n_members=2,
            context=f"a Llama of {self._architecture.n_parameters / 1e6:.0f} M parameters",
            step_before_s=found.middle(found.before_s),
            step_s=found.middle(found.steps_s),
            measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def sum_costs(self, fastest: int = 1) -> tuple[SumCost, ...]:
        """Return the costs of sums measured since :meth:`begin`, over at least two turns.

        Parameters
        ----------
        fastest
            As for :func:`edgesim.measure.trimmed_mean.typical`.
        """
        found = self._found
        found.fastest = fastest
        alone_s = max(found.passes(f"apart {rank}") for rank in (0, 1))
        together_s = max(found.passes(f"sums {rank}") for rank in (0, 1))
        late_s = (together_s - alone_s) / (2 * self._architecture.n_blocks) - found.sums(_DECODE)
        return tuple(
            SumCost(
                n_new * self._state_bytes,
                max(0.0, found.sums(n_new) + late_s),
                found.sums(n_new),
                found.stretch_s(n_new),
            )
            for n_new in (_DECODE, *_PROMPTS)
        )

    def _asked(self, prompts: Iterator[int], n_out: int) -> tuple[int, dict[str, Any]]:
        n_prompt = next(prompts)
        return n_prompt, {"prompt": _prompt(n_prompt, self._architecture.vocab_size), "n_out": n_out}

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
        self._behind_rests = Members(self._n_sums)
        self._behind_sums = {n_prompt: Members(self._n_sums) for n_prompt in _PROMPTS}
        self.waits_s: list[float] = []
        self.preludes_s: list[float] = []
        self.steps_s: list[float] = []
        self.before_s: list[float] = []

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

    def note_members(self, way: str, n_prompt: int, members: Sequence[Answer]) -> None:
        """Store a group's answers: with `sums`, `apart`, or with `rests` in the place of sums."""
        for rank, each in enumerate(members):
            self.note(f"{way} {rank}", each)
        if way == "rests":
            self._behind_rests.add(members)
        if way == "sums":
            self._behind_sums[n_prompt].add(members)
            self.note_sums(n_prompt, *(each["sums_s"] for each in members))

    def stretch_s(self, n_new: int) -> float:
        """Return how long members compute before a sum of `n_new` tokens."""
        of_prompts = self._behind_sums.values() if n_new == _DECODE else (self._behind_sums[n_new],)
        found = [times for each in of_prompts if (times := each.times(self.fastest)) is not None]
        stretches = [times.step if n_new == _DECODE else times.prompt for times in found]
        return sum(each.mean_s for each in stretches) / len(stretches)

    def slowed_by_sum_s(self) -> float:
        """Return what a member computes longer behind a sum than behind a sleep as long, in decoding."""
        behind_rests = self._behind_rests.times(self.fastest)
        assert behind_rests is not None
        return max(0.0, self.stretch_s(_DECODE) - behind_rests.step.mean_s)

    def note_sums(self, n_prompt: int, *members: Sequence[tuple[float, float]]) -> None:
        """Store the durations of sums, from the arrival of the last member until all have left."""
        for number, instants in enumerate(zip(*members, strict=True)):
            n_new = n_prompt if number < self._n_sums else _DECODE
            if n_new == _DECODE:
                self.waits_s += [left_at_s - entered_at_s for entered_at_s, left_at_s in instants]
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

"""How a device serves several requests at once: as values, without a clock.

Each discipline declares what the rest of the simulator must know (:class:`ServingDiscipline`); its station
is in :mod:`edgesim.engine.serving.stations`. The default, first come first served without limits, needs no
value here: see :mod:`edgesim.engine.device.station`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgesim.trace.schema import Discipline

__all__ = [
    "ContinuousBatching",
    "DynamicBatching",
    "FirstComeFirstServed",
    "Limits",
    "ProcessorSharing",
    "ServingDiscipline",
    "StaticBatching",
    "serving_name",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many requests a device keeps waiting for their first pass, and how long they wait.

    Parameters
    ----------
    queue_limit
        Requests that may wait; one more fails. None: any number.
    patience_s
        How long one waits before it fails; None: for ever.
    """

    queue_limit: int | None = None
    patience_s: float | None = None

    def full(self, device: str) -> str:
        """The reason of a request that finds the queue full."""
        return f"queue: {device}: the queue of {self.queue_limit} requests is full"

    def timeout(self, device: str) -> str:
        """The reason of a request that has lost its patience."""
        return f"timeout: waited {self.patience_s:g} s to be served by {device}"


class ServingDiscipline:
    """What a discipline says of itself; a class of its own inherits this, and says what is otherwise.

    Attributes
    ----------
    name
        As the trace names it.
    is_in_turn
        Whether passes have the device one after the other, so that messages may take their turns with them.
    is_in_batches
        Whether passes of several requests may be one, which has neither a time of its own that could be
        drawn nor an instant of its own at which a speed could be looked up.
    is_in_lockstep
        Whether the members of a batch wait for one another from pass to pass.
    """

    __slots__ = ()

    name: ClassVar[Discipline]
    is_in_turn: ClassVar[bool] = False
    is_in_batches: ClassVar[bool] = False
    is_in_lockstep: ClassVar[bool] = False

    @property
    def grows_caches(self) -> bool:
        """Whether caches take room token by token, and requests are preempted where none is left."""
        return False

    @property
    def n_places(self) -> int | None:
        """Requests that may have caches at once, whatever their size; None: any number."""
        return None

    @property
    def place_limits(self) -> Limits:
        """Limits to the queue for memory, where requests get places with it."""
        return Limits()

    @property
    def most_at_once(self) -> int:
        """Most decode steps in one pass."""
        return 1

    @property
    def most_prompts_at_once(self) -> int:
        """Most prompts in one pass."""
        return 1


@dataclass(frozen=True, slots=True)
class FirstComeFirstServed(Limits, ServingDiscipline):
    """One pass at a time, first come, first served, with limits to the queue.

    Passes wait in one queue; the limits are for a request's first pass on the device, later ones are never
    turned away.
    """

    name: ClassVar[Discipline] = Discipline.FIFO
    is_in_turn: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ProcessorSharing(ServingDiscipline):
    """All passes at once, each at an equal share of the speed: threads on one processor. None waits.

    Not modelled: what switching between them costs.
    """

    name: ClassVar[Discipline] = Discipline.PROCESSOR_SHARING


@dataclass(frozen=True, slots=True)
class StaticBatching(Limits, ServingDiscipline):
    """Requests in closed batches: none joins until the last of a batch has ended.

    A batch starts when it is full, or when its oldest request has waited long enough. Prompts are padded
    to the longest; decoding goes on in lockstep, and the places of those that have ended stay empty. To the
    end of the batch all its rows are computed, at the padded length: as transformers' `generate` and
    FasterTransformer do with a batch of tensors.

    Not modelled: the room that padding and empty places take in the KV cache, where a request has room for
    its own tokens, to its own end; batches that stay together from stage to stage. Each device makes up its
    own, and members of two would wait for one another; a placement with two such stages is refused before
    time zero (:mod:`edgesim.world.stages`).

    Parameters
    ----------
    max_batch
        Requests in a batch.
    max_wait_s
        How long the first one waits for company.
    """

    max_batch: int = 8
    max_wait_s: float = 0.0

    name: ClassVar[Discipline] = Discipline.STATIC
    is_in_batches: ClassVar[bool] = True
    is_in_lockstep: ClassVar[bool] = True

    @property
    def most_at_once(self) -> int:
        """The size of a batch."""
        return self.max_batch

    @property
    def most_prompts_at_once(self) -> int:
        """The size of a batch: its prompts are padded to one another's length, and are one pass."""
        return self.max_batch


@dataclass(frozen=True, slots=True)
class ContinuousBatching(Limits, ServingDiscipline):
    """Iterations over all that are there: decode steps of many requests in one pass, and chunks of prompts.

    Iteration-level scheduling (Yu et al. 2022, Orca) with chunked prefill (Agrawal et al. 2024,
    Sarathi-Serve): each iteration takes the waiting decode steps, oldest request first, then as much of the
    waiting prompts, oldest first, as the token budget leaves. A request waits for a place and for memory in
    one queue, first come first served (and along a pipeline for those of all stages at once); it has its
    place, as its memory, from then to its end, unless it is preempted.

    Parameters
    ----------
    max_batch
        Places: requests that are served at once.
    max_tokens
        Tokens in an iteration, decode steps and prompt chunks together.
    cache
        ``grow``: a request's KV cache takes room token by token; where there is none left, the request that
        came last is preempted, its caches dropped and computed anew when it is admitted again (vLLM's
        preemption by recomputation, Kwon et al. 2023; see :mod:`edgesim.engine.memory.preemption`).
        ``reserve``: room for the whole length at once.
    """

    max_batch: int = 16
    max_tokens: int = 512
    cache: Literal["grow", "reserve"] = "grow"

    name: ClassVar[Discipline] = Discipline.CONTINUOUS
    is_in_batches: ClassVar[bool] = True

    @property
    def grows_caches(self) -> bool:
        """As `cache` says."""
        return self.cache == "grow"

    @property
    def n_places(self) -> int | None:
        """As many as decode together."""
        return self.max_batch

    @property
    def place_limits(self) -> Limits:
        """Its own: requests get their places with their memory."""
        return self

    @property
    def most_at_once(self) -> int:
        """As many as have places."""
        return self.max_batch


@dataclass(frozen=True, slots=True)
class DynamicBatching(Limits, ServingDiscipline):
    """Whatever waits when the device is free is one pass: like passes of different requests, up to a number.

    What serving systems call dynamic batching (NVIDIA Triton's ``max_batch_size`` and
    ``max_queue_delay``), and what a stage of a pipeline does that computes the requests that meet there
    together. None has a place, and none waits for the others of a batch afterwards: each request goes on
    by itself, and no token waits for the slowest of its batch ("no bubbles", EdgeShard, arXiv 2405.14371).

    Not modelled: one message for all of a batch; each request's leaves at the same instant, and they share
    the link one after the other.

    Parameters
    ----------
    max_batch
        Passes in one.
    max_wait_s
        How long an idle device waits for company after the first has come.
    """

    max_batch: int = 8
    max_wait_s: float = 0.0

    name: ClassVar[Discipline] = Discipline.BATCHED
    is_in_batches: ClassVar[bool] = True

    @property
    def most_at_once(self) -> int:
        """Passes in one."""
        return self.max_batch

    @property
    def most_prompts_at_once(self) -> int:
        """Passes in one."""
        return self.max_batch


def serving_name(serving: ServingDiscipline | None) -> Discipline:
    """The discipline's name in the trace."""
    return Discipline.FIFO if serving is None else serving.name

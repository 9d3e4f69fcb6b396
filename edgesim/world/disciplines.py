"""Serving disciplines of devices: parameters and properties.

Each discipline declares the properties that the rest of the simulator uses (:class:`ServingDiscipline`); its
station is in :mod:`edgesim.engine.serving.stations`. The default, first come first served without limits, has
no class here: see :mod:`edgesim.engine.device.station`.
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
    """Limits on the requests that wait for their first pass on a device.

    Parameters
    ----------
    queue_limit
        Maximum number of waiting requests; further requests fail. None: no limit.
    patience_s
        Maximum waiting time, after which a request fails; None: no limit.
    """

    queue_limit: int | None = None
    patience_s: float | None = None

    def full(self, device: str) -> str:
        """Return the failure reason of a request that arrives at a full queue."""
        return f"queue: {device}: the queue of {self.queue_limit} requests is full"

    def timeout(self, device: str) -> str:
        """Return the failure reason of a request whose patience has expired."""
        return f"timeout: waited {self.patience_s:g} s to be served by {device}"


class ServingDiscipline:
    """Base class of serving disciplines: properties with defaults, overridden by subclasses.

    Attributes
    ----------
    name
        Name in the trace.
    is_in_turn
        Whether the device runs one pass at a time, so that messages can be interleaved with passes.
    is_in_batches
        Whether several requests can share a pass, so that a request's pass has no separate time to be drawn
        and no separate beginning at which to evaluate a speed.
    is_in_lockstep
        Whether the members of a batch wait for one another after each pass.
    """

    __slots__ = ()

    name: ClassVar[Discipline]
    is_in_turn: ClassVar[bool] = False
    is_in_batches: ClassVar[bool] = False
    is_in_lockstep: ClassVar[bool] = False

    @property
    def grows_caches(self) -> bool:
        """Whether caches grow by one token at a time, and requests are preempted when memory is full."""
        return False

    @property
    def n_places(self) -> int | None:
        """Maximum number of requests with caches at the same time; None: no limit."""
        return None

    @property
    def place_limits(self) -> Limits:
        """Limits of the memory queue, if requests are assigned places together with memory."""
        return Limits()

    @property
    def most_at_once(self) -> int:
        """Maximum number of decode steps in one pass."""
        return 1

    @property
    def most_prompts_at_once(self) -> int:
        """Maximum number of prompts in one pass."""
        return 1


@dataclass(frozen=True, slots=True)
class FirstComeFirstServed(Limits, ServingDiscipline):
    """First come, first served, one pass at a time, with limits on the queue.

    Passes wait in one queue. The limits apply to a request's first pass on the device; later passes are
    always accepted.
    """

    name: ClassVar[Discipline] = Discipline.FIFO
    is_in_turn: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ProcessorSharing(ServingDiscipline):
    """Processor sharing: all passes run at once, each at an equal share of the speed, like threads.

    Not modelled: the cost of context switches.
    """

    name: ClassVar[Discipline] = Discipline.PROCESSOR_SHARING


@dataclass(frozen=True, slots=True)
class StaticBatching(Limits, ServingDiscipline):
    """Static batching: requests are served in closed batches; none joins until the whole batch has ended.

    A batch starts when it is full, or when its oldest request has waited for `max_wait_s`. Prompts are padded
    to the longest; decoding proceeds in lockstep, and the places of ended requests stay empty. All rows are
    computed until the end of the batch, at the padded length, as transformers' `generate` and
    FasterTransformer do with a batch of tensors.

    Not modelled: KV cache occupied by padding and empty places (a request occupies memory for its own tokens,
    until its own end); batches that stay together from stage to stage. Each device forms its own batches, so
    that members of two would wait for one another; a placement with two such stages is refused before time
    zero (:mod:`edgesim.world.stages`).

    Parameters
    ----------
    max_batch
        Maximum number of requests in a batch.
    max_wait_s
        Maximum time that the first request waits for further ones.
    """

    max_batch: int = 8
    max_wait_s: float = 0.0

    name: ClassVar[Discipline] = Discipline.STATIC
    is_in_batches: ClassVar[bool] = True
    is_in_lockstep: ClassVar[bool] = True

    @property
    def most_at_once(self) -> int:
        """Maximum number of decode steps in one pass: the batch size."""
        return self.max_batch

    @property
    def most_prompts_at_once(self) -> int:
        """Maximum number of prompts in one pass: the batch size, as prompts are padded to equal length."""
        return self.max_batch


@dataclass(frozen=True, slots=True)
class ContinuousBatching(Limits, ServingDiscipline):
    """Continuous batching: each iteration combines decode steps of many requests with chunks of prompts.

    Iteration-level scheduling (Yu et al. 2022, Orca) with chunked prefill (Agrawal et al. 2024,
    Sarathi-Serve): each iteration takes the waiting decode steps, oldest request first, then as much of the
    waiting prompts, oldest first, as the token budget allows. A request waits for a place and for memory in
    one queue, first come first served (along a pipeline, for those of all stages at once); it keeps both
    until its end, unless it is preempted.

    Parameters
    ----------
    max_batch
        Number of places: requests served at the same time.
    max_tokens
        Token budget of an iteration, decode steps and prompt chunks together.
    cache
        ``grow``: a request's KV cache grows by one token at a time; when memory is full, the latest request
        is preempted, and its caches are dropped and recomputed when it is admitted again (vLLM's preemption
        by recomputation, Kwon et al. 2023; see :mod:`edgesim.engine.memory.preemption`).
        ``reserve``: memory for the whole length is reserved at once.
    """

    max_batch: int = 16
    max_tokens: int = 512
    cache: Literal["grow", "reserve"] = "grow"

    name: ClassVar[Discipline] = Discipline.CONTINUOUS
    is_in_batches: ClassVar[bool] = True

    @property
    def grows_caches(self) -> bool:
        """Whether `cache` is ``grow``."""
        return self.cache == "grow"

    @property
    def n_places(self) -> int | None:
        """Number of places, `max_batch`."""
        return self.max_batch

    @property
    def place_limits(self) -> Limits:
        """The discipline's own limits, because places are assigned together with memory."""
        return self

    @property
    def most_at_once(self) -> int:
        """Maximum number of decode steps in one pass: the number of places."""
        return self.max_batch


@dataclass(frozen=True, slots=True)
class DynamicBatching(Limits, ServingDiscipline):
    """Dynamic batching: when the device is free, similar waiting passes of different requests run as one.

    As in serving systems (NVIDIA Triton's ``max_batch_size`` and ``max_queue_delay``), or in a pipeline stage
    that computes requests together that are there at the same time. Requests have no places and do not wait
    for the others of a batch afterwards: each continues separately, and no token waits for the slowest of its
    batch ("no bubbles", EdgeShard, arXiv 2405.14371).

    Not modelled: a joint message for a batch; the requests' messages are sent at the same instant and share
    the link one after the other.

    Parameters
    ----------
    max_batch
        Maximum number of passes that run as one.
    max_wait_s
        Maximum time that an idle device waits for further passes after the first has arrived.
    """

    max_batch: int = 8
    max_wait_s: float = 0.0

    name: ClassVar[Discipline] = Discipline.BATCHED
    is_in_batches: ClassVar[bool] = True

    @property
    def most_at_once(self) -> int:
        """Maximum number of decode steps that run as one pass."""
        return self.max_batch

    @property
    def most_prompts_at_once(self) -> int:
        """Maximum number of prompts that run as one pass."""
        return self.max_batch


def serving_name(serving: ServingDiscipline | None) -> Discipline:
    """Return the discipline's name in the trace."""
    return Discipline.FIFO if serving is None else serving.name

"""How a device serves several requests at once: the base of disciplines, and how one is found by name.

A discipline is two files of one name: its options and properties, as a value without a clock, in
:mod:`edgesim.world.disciplines`; its station in :mod:`edgesim.engine.serving.stations`. Other packages offer
both through the entry point groups ``edgesim.disciplines`` and ``edgesim.stations``. The default, first come
first served without limits, is no value but None: see :mod:`edgesim.engine.device.station`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, cast, get_type_hints

from pydantic import Field, create_model

from edgesim.errors import InputError, ScenarioError
from edgesim.fields import PositiveSeconds
from edgesim.plugins import EntryPointGroup
from edgesim.trace.schema import FIFO

__all__ = ["DISCIPLINES", "BatchSize", "Limits", "ServingDiscipline", "options_of", "serving_name"]

BatchSize = Annotated[int, Field(strict=True, ge=1, le=4096)]
_RESERVED = ("copy", "discipline", "json", "schema", "short", "validate", "value")  # names of sections

QueueLimit = Annotated[int, Field(strict=True, ge=1, le=100_000_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a queue of requests that wait for their first pass on a device."""

    queue_limit: QueueLimit | None = None
    """Requests that may wait for their first pass; one more fails."""
    patience_s: Annotated[PositiveSeconds | None, Field(alias="patience")] = None
    """How long a request waits for its first pass before it fails."""

    def full(self, device: str) -> str:
        """Return the reason of failure of a request that finds the queue full."""
        return f"queue: {device}: the queue of {self.queue_limit} requests is full"

    def timeout(self, device: str) -> str:
        """Return the reason of failure of a request whose patience has run out."""
        return f"timeout: waited {self.patience_s:g} s to be served by {device}"


class ServingDiscipline:
    """Base of serving disciplines: a subclass is a frozen dataclass whose fields are its options.

    Options are read from scenarios by their annotations: types of :mod:`edgesim.fields` read quantities with
    a unit, an alias is the key without its unit, and the string below a field describes it. The properties
    and class variables here are the defaults of what the rest of the simulator must know of a discipline.

    Attributes
    ----------
    name
        In scenarios and traces: the module's name with ``-`` for ``_``, or that of the entry point.
    is_in_turn
        Whether passes occupy the device one after the other, so that messages can be queued among them.
    is_in_batches
        Whether passes of several requests can be one pass. Such a pass has no service time of its own to
        draw, and no start of its own at which a changing speed could be read.
    is_in_lockstep
        Whether the members of a batch wait for one another before every pass.
    """

    __slots__ = ()

    name: ClassVar[str]
    is_in_turn: ClassVar[bool] = False
    is_in_batches: ClassVar[bool] = False
    is_in_lockstep: ClassVar[bool] = False

    @property
    def is_default(self) -> bool:
        """Whether these options are first come, first served without limits, which needs no discipline."""
        return False

    @property
    def grows_caches(self) -> bool:
        """Whether memory is reserved token by token, and requests are preempted where none is left."""
        return False

    @property
    def n_places(self) -> int | None:
        """Requests that may have a KV cache at once, whatever its size; None: any number."""
        return None

    @property
    def place_limits(self) -> Limits:
        """Limits of the queue for memory, where a request gets a place with its memory."""
        return Limits()

    @property
    def most_at_once(self) -> int:
        """Largest number of decode steps in one pass."""
        return 1

    @property
    def most_prompts_at_once(self) -> int:
        """Largest number of prompts in one pass."""
        return 1


def options_of(
    kind: type[ServingDiscipline], texts: Mapping[str, str] = MappingProxyType({})
) -> dict[str, tuple[Any, Any]]:
    """Return a discipline's options by name: its annotation, and its default as a field of pydantic.

    Parameters
    ----------
    texts
        Descriptions by name; an option without one keeps that of its annotation.
    """
    hints = get_type_hints(kind, include_extras=True)
    found: dict[str, tuple[Any, Any]] = {}
    for option in fields(kind):  # type: ignore[arg-type]  # a dataclass, as the group's check has made sure
        if not option.init:
            continue
        more: dict[str, Any] = {"description": texts[option.name]} if option.name in texts else {}
        if option.default_factory is not MISSING:
            default = Field(default_factory=option.default_factory, **more)
        else:
            default = Field(... if option.default is MISSING else option.default, **more)
        found[option.name] = (hints[option.name], default)
    return found


def _check(kind: type[ServingDiscipline]) -> None:
    _check_once(cast("Any", kind))


@cache  # a check is made at every loading, and making a model takes milliseconds
def _check_once(kind: Any) -> None:
    where = f"class {kind.__qualname__}"
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise InputError(f"{where} is not a frozen dataclass; decorate it with dataclass(frozen=True)")
    if not isinstance(getattr(kind, "name", None), str):
        raise InputError(f"{where} has no name; write name: ClassVar[str] = '...'")
    options = options_of(kind)
    if reserved := sorted(name for name in options if name in _RESERVED or name.startswith("model_")):
        raise InputError(f"{where} has an option {reserved[0]!r}, a name that is reserved; rename it")
    create_model(kind.__name__, **cast("dict[str, Any]", options))  # raises for what cannot be read


DISCIPLINES: EntryPointGroup[type[ServingDiscipline]] = EntryPointGroup(
    "edgesim.disciplines",
    "serving discipline",
    "serving",
    ServingDiscipline,
    "edgesim.world.discipline.ServingDiscipline",
    ScenarioError,
    _check,
    home="edgesim.world.disciplines",
    joint="-",
)
"""The entry point group of serving disciplines; edgesim's own are modules of its home."""


def serving_name(serving: ServingDiscipline | None) -> str:
    """Return a discipline's name in the trace."""
    return FIFO if serving is None else serving.name

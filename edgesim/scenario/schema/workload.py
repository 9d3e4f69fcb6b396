"""Schema of a scenario's ``workload``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgesim.entry_names import EntryName
from edgesim.fields import Names, PositiveSeconds, Seconds, is_not_given, refuse
from edgesim.plugins import EntryPointGroup
from edgesim.scenario.schema.arrival_process import ARRIVALS, ArrivalProcess
from edgesim.scenario.schema.topology import Count
from edgesim.scenario.text.open_choice import OpenChoice
from edgesim.scenario.text.section import Choice, Section, made_or_refused
from edgesim.scenario.text.shorthand import Shorthand, value_of
from edgesim.workload.arrivals import Arrivals
from edgesim.workload.bounded import MOST_REQUESTS
from edgesim.workload.lengths import Fixed, Lengths, Lognormal, Uniform
from edgesim.workload.readers.detect import READERS
from edgesim.workload.readers.own_columns import Columns
from edgesim.workload.selection import Selection
from edgesim.workload.think import ExponentialThink, FixedThink, Think

__all__ = [
    "ArrivalsChoice",
    "ColumnsEntry",
    "Law",
    "LengthsChoice",
    "LognormalLaw",
    "SessionsEntry",
    "ThinkChoice",
    "TraceEntry",
    "UniformLaw",
    "UsersEntry",
    "Window",
    "WorkloadEntry",
]

ReaderName = Annotated[str, EntryName(READERS)]
PositiveNumber = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]

_ID_BYTES = 4  # size of a token id: a 32-bit number


class Law(Section):
    """Base class of distribution sections; invalid parameters are rejected during validation."""

    def law(self) -> Lengths:
        """Return the distribution."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _makes_a_law(self) -> Self:
        made_or_refused(self.law)
        return self


class ArrivalsChoice(OpenChoice[ArrivalProcess]):
    """Arrival process of the requests of all sources together."""

    group: ClassVar[EntryPointGroup[type[ArrivalProcess]]] = ARRIVALS
    order: ClassVar[tuple[str, ...]] = (
        "poisson",
        "gamma",
        "deterministic",
        "bursts",
        "diurnal",
        "hourly",
        "steps",
    )
    example: ClassVar[str] = "{poisson: 0.4 Hz}"

    def law(self) -> Arrivals:
        """Return the arrival law."""
        return self.chosen.law()


class UniformLaw(Law):
    """Uniform distribution of the integer lengths from min to max."""

    min: Count
    """Shortest length in tokens."""
    max: Count
    """Longest length in tokens."""

    def law(self) -> Lengths:
        """Return the length distribution."""
        return Uniform(self.min, self.max)


class LognormalLaw(Law):
    """Lognormal distribution of lengths; draws are rounded, and clipped to min and max."""

    median: PositiveNumber
    """Median length in tokens."""
    sigma: Annotated[float, Field(ge=0)]
    """Standard deviation of the natural logarithm."""
    min: Count = 1
    """Minimum length; shorter draws are raised to it."""
    max: Count | None = None
    """Maximum length; longer draws are cut to it. Unlimited by default."""

    def law(self) -> Lengths:
        """Return the length distribution."""
        return Lognormal(self.median, self.sigma, self.min, self.max)


class LengthsChoice(Choice):
    """Distribution of a number of tokens; a plain whole number is short for ``{fixed: n}``."""

    shorthand: ClassVar[Shorthand | None] = value_of(
        "fixed", int, float, bool, schema={"type": "integer", "minimum": 1}
    )

    example: ClassVar[str] = "32 or {lognormal: {median: 64, sigma: 0.6}}"

    fixed: Count | None = None
    """Constant number."""
    uniform: UniformLaw | None = None
    """Uniform between two lengths."""
    lognormal: LognormalLaw | None = None
    """Lognormal: many short lengths and a long tail."""

    def law(self) -> Lengths:
        """Return the length distribution."""
        for entry in (self.uniform, self.lognormal):
            if entry is not None:
                return entry.law()
        assert self.fixed is not None, "a choice has exactly one key"
        return Fixed(self.fixed)


class ThinkChoice(Choice):
    """Distribution of a user's think time; a plain duration is short for ``{fixed: 5 s}``."""

    shorthand: ClassVar[Shorthand | None] = value_of(
        "fixed", str, int, float, bool, schema={"type": "string", "examples": ["5 s"]}
    )

    example: ClassVar[str] = "5 s or {exponential: 20 s}"

    fixed_s: Seconds | None = Field(default=None, alias="fixed")
    """Constant think time."""
    exponential_s: PositiveSeconds | None = Field(default=None, alias="exponential")
    """Mean of an exponential think time."""

    def law(self) -> Think:
        """Return the think-time distribution."""
        if self.exponential_s is not None:
            return ExponentialThink(self.exponential_s)
        assert self.fixed_s is not None, "a choice has exactly one key"
        return FixedThink(self.fixed_s)


class UsersEntry(Section):
    """A closed loop: each user sends a request, waits for the end of its answer, thinks, and repeats."""

    count: Count
    """Number of users, which is also the maximum number of requests in flight."""
    think: ThinkChoice | None = None
    """Time from an answer's end to the user's next request; zero by default."""
    stagger_s: Seconds = Field(default=0.0, alias="stagger")
    """Time between the starts of consecutive users; by default all start at time zero."""


class SessionsEntry(Section):
    """Sessions of several turns per arrival; each prompt includes the history of the turns before it."""

    turns: LengthsChoice
    """Number of turns of a session."""
    think: ThinkChoice
    """Time from an answer's end to the next turn."""
    max_history: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Most tokens of history in a prompt; the oldest are dropped, and counted in run.json."""


class Window(Section):
    """Part of a trace to replay, on the trace's clock and before any scaling."""

    from_s: Seconds = Field(default=0.0, alias="from")
    """Start of the part; it becomes time zero."""
    length_s: PositiveSeconds | None = Field(default=None, alias="length")
    """Length of the part; by default it ends with the file."""


class ColumnsEntry(Section):
    """Names of the columns of a CSV file, not case-sensitive."""

    prompt: str
    """Column with the number of prompt tokens."""
    output: str
    """Column with the number of answer tokens."""
    at: str | None = None
    """Column with the arrival instants: numbers, or dates and times; without it, `arrivals` gives them."""
    source: str | None = None
    """Column with the id of the source device, one of `sources`; without it, sources are drawn."""
    unit: Literal["s", "ms", "us", "ns"] = "s"
    """Unit of instants that are numbers."""

    def columns(self) -> Columns:
        """Return the columns for the reader."""
        return Columns(prompt=self.prompt, output=self.output, at=self.at, source=self.source, unit=self.unit)


class TraceEntry(Section):
    """A trace of recorded requests; a path alone is short for ``{file: ...}``.

    Supported formats: the traces of Azure (2023, 2024 and 2025), BurstGPT, Vidur and Splitwise (CSV), of
    Mooncake and LLMServingSim (JSON lines), and of ShareGPT (JSON), with or without gzip. The format is
    detected from the contents. Any other CSV is read with `columns`, any other format by an installed reader.
    """

    shorthand: ClassVar[Shorthand | None] = value_of(
        "file", str, schema={"type": "string", "examples": ["conversations.csv"]}
    )

    file: str
    """Path of the file, relative to the scenario's folder."""
    format: ReaderName | None = Field(default=None, exclude_if=is_not_given)
    """Name of the reader (`edgesim list readers`); by default the format is detected from the contents."""
    columns: ColumnsEntry | None = None
    """For your own CSV file: the names of its columns."""
    rebase: bool = False
    """Whether to shift the trace's clock so that the first request arrives at 0 s, as for instants counted
    from 1970."""
    window: Window = Window()
    """Part of the trace to replay."""
    time_scale: PositiveNumber | None = None
    """Factor on the interarrival times; 2 replays half as fast."""
    rate_scale: PositiveNumber | None = None
    """Factor on the arrival rate, instead of `time_scale`; 2 replays twice as fast."""
    max_prompt: Count | None = None
    """Maximum number of prompt tokens."""
    max_output: Count | None = None
    """Maximum number of answer tokens."""
    clip: Literal["clip", "drop", "error"] = "error"
    """Handling of longer requests: `clip` shortens them, `drop` leaves them out (both are counted in
    run.json), `error` rejects the file."""
    tokenizer: str | None = None
    """For files of text: path of a tokenizer.json with which tokens are counted."""
    chars_per_token: PositiveNumber | None = None
    """For files of text, instead of a tokenizer: number of characters per token; by default 4, an
    estimate."""
    think: ThinkChoice | None = None
    """For ShareGPT: time from an answer's end to the next turn; without it only first turns are replayed."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for one, other in (
            ("time_scale", "rate_scale"),
            ("tokenizer", "chars_per_token"),
            ("format", "columns"),
        ):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                refuse(f"expected either '{one}' or '{other}', not both")
        made_or_refused(self.selection)
        return self

    def selection(self) -> Selection:
        """Return which requests of the file are replayed, and how they are scaled."""
        scale = 1.0 / self.rate_scale if self.rate_scale is not None else self.time_scale or 1.0
        return Selection(
            is_rebased=self.rebase,
            from_s=self.window.from_s,
            length_s=self.window.length_s,
            time_scale=scale,
            max_prompt_tokens=self.max_prompt,
            max_output_tokens=self.max_output,
            too_long=self.clip,
        )


class WorkloadEntry(Section):
    """Requests: their sources, arrivals and lengths, by distributions, a closed loop of users, or a trace."""

    sources: Names = ()
    """Groups or devices that generate requests; by default the first entry of the topology."""
    weights: dict[str, PositiveNumber] = Field(default_factory=dict)
    """Relative frequency of requests from one device, or from each device of a group; 1 by default. A
    device's own weight takes precedence over its group's."""
    arrivals: ArrivalsChoice | None = None
    """Arrival process of requests (with `sessions`: of sessions)."""
    users: UsersEntry | None = None
    """Closed loop of a fixed number of users, instead of `arrivals`."""
    trace: TraceEntry | None = None
    """Recorded requests, instead of `arrivals` and lengths; a file without instants also needs `arrivals`."""
    sessions: SessionsEntry | None = None
    """Sessions: every arrival starts a session of several turns."""
    prompt_tokens: LengthsChoice | None = None
    """Lengths of prompts (with `sessions`: of a turn's new part)."""
    output_tokens: LengthsChoice | None = None
    """Lengths of answers; every request generates its full length."""
    requests: Annotated[int, Field(strict=True, ge=1, le=MOST_REQUESTS)] | None = None
    """Maximum number of requests in one replication."""
    prompt_bytes_per_token: Count = _ID_BYTES
    """Bytes of a prompt token in a message; by default a 32-bit token id."""
    answer_bytes_per_token: Count | None = None
    """Bytes of an answer token in a message; by default those of a prompt token, but at most 4 (a token
    id)."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("arrivals", "users", "trace") if getattr(self, name) is not None]
        if not given:
            refuse("'arrivals' is missing (the arrival process); give it, or 'users', or a 'trace'")
        if len(given) > 1 and given != ["arrivals", "trace"]:
            refuse(f"expected one of arrivals, users and trace, got {' and '.join(given)}")
        if self.sessions is not None and given != ["arrivals"]:
            refuse(f"'sessions' need an arrival process in 'arrivals', got {' and '.join(given)}")
        if self.weights and self.users is not None:
            refuse(
                "'users' are assigned to the sources in turn, without 'weights'; leave 'weights' out, or "
                "give 'arrivals' instead of 'users'"
            )
        lengths = {"prompt_tokens": "lengths of prompts", "output_tokens": "lengths of answers"}
        for name, about in lengths.items():
            if self.trace is None and getattr(self, name) is None:
                refuse(f"'{name}' is missing ({about})")
            if self.trace is not None and getattr(self, name) is not None:
                refuse(f"lengths are taken from the trace; leave out '{name}'")
        return self

    @property
    def id_bytes(self) -> int:
        """Bytes of an answer token in a message: as given, or those of a token id."""
        if self.answer_bytes_per_token is not None:
            return self.answer_bytes_per_token
        return min(self.prompt_bytes_per_token, _ID_BYTES)

    @property
    def is_finite(self) -> bool:
        """Whether the workload ends without a horizon: after `requests`, or with a trace."""
        return self.requests is not None or self.trace is not None

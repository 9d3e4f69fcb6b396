"""What a scenario's ``workload`` may contain."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.entry_names import EntryName
from edgesim.fields import Names, PositiveSeconds, Seconds, is_not_given, refuse
from edgesim.plugins import EntryPointGroup
from edgesim.scenario.schema.arrival_process import ARRIVALS, ArrivalProcess
from edgesim.scenario.schema.topology import Count
from edgesim.scenario.text.open_choice import OpenChoice
from edgesim.scenario.text.section import Choice, Section, made
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

_ID_BYTES = 4  # of a token: a 32-bit number


class Law(Section):
    """The parameters of a law; what they do not allow is found when they are read."""

    def law(self) -> Lengths:
        """Make the law."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _makes_a_law(self) -> Self:
        made(self.law)
        return self


class ArrivalsChoice(OpenChoice[ArrivalProcess]):
    """When requests arrive, all sources together."""

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
        """Make the law of arrivals."""
        return self.chosen.law()


class UniformLaw(Law):
    """Every length from min to max is equally likely."""

    min: Count
    """Shortest length in tokens."""
    max: Count
    """Longest length in tokens."""

    def law(self) -> Lengths:
        """Make the law of lengths."""
        return Uniform(self.min, self.max)


class LognormalLaw(Law):
    """Lengths whose logarithm is normal; draws are rounded, and clipped to min and max."""

    median: PositiveNumber
    """Median length in tokens."""
    sigma: Annotated[float, Field(ge=0)]
    """Standard deviation of the natural logarithm."""
    min: Count = 1
    """Shorter draws become this long."""
    max: Count | None = None
    """Longer draws become this long; without it the tail is left whole."""

    def law(self) -> Lengths:
        """Make the law of lengths."""
        return Lognormal(self.median, self.sigma, self.min, self.max)


class LengthsChoice(Choice):
    """How many tokens; a plain whole number is short for ``{fixed: n}``."""

    example: ClassVar[str] = "32 or {lognormal: {median: 64, sigma: 0.6}}"

    fixed: Count | None = None
    """Always so many."""
    uniform: UniformLaw | None = None
    """Evenly between two lengths."""
    lognormal: LognormalLaw | None = None
    """Many short ones and a long tail."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, data: object) -> object:
        return {"fixed": data} if isinstance(data, int | float) else data

    def law(self) -> Lengths:
        """Make the law of lengths."""
        for entry in (self.uniform, self.lognormal):
            if entry is not None:
                return entry.law()
        assert self.fixed is not None, "a choice has exactly one key"
        return Fixed(self.fixed)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow a plain number, too."""
        return {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                super().__get_pydantic_json_schema__(core_schema, handler),
            ]
        }


class ThinkChoice(Choice):
    """How long a user thinks before asking again; a plain duration is short for ``{fixed: 5 s}``."""

    example: ClassVar[str] = "5 s or {exponential: 20 s}"

    fixed_s: Seconds | None = Field(default=None, alias="fixed")
    """Always so long."""
    exponential_s: PositiveSeconds | None = Field(default=None, alias="exponential")
    """Exponential with this mean."""

    @model_validator(mode="before")
    @classmethod
    def _from_duration(cls, data: object) -> object:
        return {"fixed": data} if isinstance(data, str | int | float) else data

    def law(self) -> Think:
        """Make the law of think times."""
        if self.exponential_s is not None:
            return ExponentialThink(self.exponential_s)
        assert self.fixed_s is not None, "a choice has exactly one key"
        return FixedThink(self.fixed_s)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow a plain duration, too."""
        return {
            "anyOf": [
                {"type": "string", "examples": ["5 s"]},
                super().__get_pydantic_json_schema__(core_schema, handler),
            ]
        }


class UsersEntry(Section):
    """A closed loop: each user asks, waits for the answer's end, thinks, and asks again."""

    count: Count
    """How many users there are: requests in flight at most."""
    think: ThinkChoice | None = None
    """Time from an answer's end to the user's next request; by default none."""
    stagger_s: Seconds = Field(default=0.0, alias="stagger")
    """Time between the starts of one user and the next; by default all ask at time zero."""


class SessionsEntry(Section):
    """Several turns per arrival, each prompt with the history of the turns before it."""

    turns: LengthsChoice
    """How many turns a session has."""
    think: ThinkChoice
    """Time from an answer's end to the next turn."""
    max_history: Annotated[int, Field(strict=True, ge=0)] | None = None
    """Most tokens of history in a prompt; the oldest are left out, and counted in run.json."""


class Window(Section):
    """Which part of a trace is replayed, on its own clock and before any scaling."""

    from_s: Seconds = Field(default=0.0, alias="from")
    """Where it begins; this becomes time zero."""
    length_s: PositiveSeconds | None = Field(default=None, alias="length")
    """How long it lasts; by default to the end of the file."""


class ColumnsEntry(Section):
    """Which columns of a CSV file say what; case does not matter."""

    prompt: str
    """Column of the prompts' tokens."""
    output: str
    """Column of the answers' tokens."""
    at: str | None = None
    """Column of the instants: numbers, or dates and times; without it, `arrivals` says when requests come."""
    source: str | None = None
    """Column of the devices' ids, each one of `sources`; without it, sources are drawn."""
    unit: Literal["s", "ms", "us", "ns"] = "s"
    """Of instants that are numbers."""

    def columns(self) -> Columns:
        """Return them as the reader takes them."""
        return Columns(prompt=self.prompt, output=self.output, at=self.at, source=self.source, unit=self.unit)


class TraceEntry(Section):
    """Requests as they were recorded; a path alone is short for ``{file: ...}``.

    Read are Azure's traces of 2023, 2024 and 2025, BurstGPT's, Vidur's and Splitwise's (CSV), Mooncake's and
    LLMServingSim's (JSON lines), and ShareGPT's (JSON), compressed by gzip or not. The contents tell which.
    Any other CSV is read by its `columns`, any other format by an installed reader.
    """

    file: str
    """Path of the file, from the folder of the scenario."""
    format: ReaderName | None = Field(default=None, exclude_if=is_not_given)
    """Which reader reads it (`edgesim list readers`); without it, its contents tell."""
    columns: ColumnsEntry | None = None
    """For a CSV file of your own: what its columns are called."""
    rebase: bool = False
    """Whether the first request comes at 0 s of the trace's clock, as where instants count from 1970."""
    window: Window = Window()
    """Which part is replayed."""
    time_scale: PositiveNumber | None = None
    """By which intervals are multiplied: 2 replays half as fast."""
    rate_scale: PositiveNumber | None = None
    """Instead of time_scale: by which the rate is multiplied: 2 replays twice as fast."""
    max_prompt: Count | None = None
    """Most tokens of a prompt."""
    max_output: Count | None = None
    """Most tokens of an answer."""
    clip: Literal["clip", "drop", "error"] = "error"
    """What happens to longer requests: `clip` shortens them, `drop` leaves them out (both are counted in
    run.json), `error` refuses the file."""
    tokenizer: str | None = None
    """For files of text: path of a tokenizer.json that counts tokens."""
    chars_per_token: PositiveNumber | None = None
    """For files of text, instead of a tokenizer: how many characters count as a token; by default 4, an
    estimate."""
    think: ThinkChoice | None = None
    """For ShareGPT: time from an answer's end to the next turn; without it first turns alone are replayed."""

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, data: object) -> object:
        return {"file": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for one, other in (
            ("time_scale", "rate_scale"),
            ("tokenizer", "chars_per_token"),
            ("format", "columns"),
        ):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                refuse(f"expected either '{one}' or '{other}', not both")
        made(self.selection)
        return self

    def selection(self) -> Selection:
        """Say what of the file is replayed."""
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

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow a path alone, too."""
        return {"anyOf": [{"type": "string", "examples": ["conversations.csv"]}, handler(core_schema)]}


class WorkloadEntry(Section):
    """Who asks, when, and how much: by laws, by users who wait for answers, or as recorded."""

    sources: Names = ()
    """Groups or devices that requests come from; by default the first entry of the topology."""
    weights: dict[str, PositiveNumber] = Field(default_factory=dict)
    """How often requests come from one device, or each of a group, relative to the others; 1 where not given.
    A device's own weight goes before its group's."""
    arrivals: ArrivalsChoice | None = None
    """When requests (with `sessions`: sessions) arrive."""
    users: UsersEntry | None = None
    """Instead of arrivals: a fixed number of users who wait for their answers."""
    trace: TraceEntry | None = None
    """Instead of arrivals and lengths: requests as recorded; a file without instants needs arrivals, too."""
    sessions: SessionsEntry | None = None
    """Makes every arrival a session of several turns."""
    prompt_tokens: LengthsChoice | None = None
    """Lengths of prompts (with `sessions`: of a turn's new part)."""
    output_tokens: LengthsChoice | None = None
    """Lengths of answers; every request runs to its length."""
    requests: Annotated[int, Field(strict=True, ge=1, le=MOST_REQUESTS)] | None = None
    """No more than so many requests in one replication."""
    prompt_bytes_per_token: Count = _ID_BYTES
    """Size of a prompt token on the wire; the default is a 32-bit token id."""
    answer_bytes_per_token: Count | None = None
    """Size of an answer's token on the wire; else that of a prompt's token, but 4 (an id) at most."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("arrivals", "users", "trace") if getattr(self, name) is not None]
        if not given:
            refuse("'arrivals' is missing (when requests arrive); or give 'users', or a 'trace'")
        if len(given) > 1 and given != ["arrivals", "trace"]:
            refuse(f"expected one of arrivals, users and trace, got {' and '.join(given)}")
        if self.sessions is not None and given != ["arrivals"]:
            refuse(f"'sessions' begin by a law of 'arrivals', got {' and '.join(given)}")
        if self.weights and self.users is not None:
            refuse("'users' are dealt out to the sources in turn; leave out 'weights', or give 'arrivals'")
        lengths = {"prompt_tokens": "lengths of prompts", "output_tokens": "lengths of answers"}
        for name, about in lengths.items():
            if self.trace is None and getattr(self, name) is None:
                refuse(f"'{name}' is missing ({about})")
            if self.trace is not None and getattr(self, name) is not None:
                refuse(f"lengths come from the trace; leave out '{name}'")
        return self

    @property
    def id_bytes(self) -> int:
        """Size of an answer's token on the wire: as given, or an id's."""
        if self.answer_bytes_per_token is not None:
            return self.answer_bytes_per_token
        return min(self.prompt_bytes_per_token, _ID_BYTES)

    @property
    def is_finite(self) -> bool:
        """Whether it ends by itself: with a number of requests, or with a file."""
        return self.requests is not None or self.trace is not None

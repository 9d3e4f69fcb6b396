"""What a radio link is made of, as a scenario says it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from edgesim.fields import (
    Decibels,
    DecibelsIsotropic,
    DecibelsMilliwatt,
    Hertz,
    Metres,
    MetresPerSecond,
    NonNegativeDecibels,
    PositiveMetres,
    PositiveSeconds,
    Seconds,
    refuse,
)
from edgesim.nearest import suggest
from edgesim.radio.channel.fading_law import FadingLaw, Nakagami, NoFading, Rayleigh, Rician
from edgesim.radio.channel.path_loss.environment import PathLoss
from edgesim.radio.channel.path_loss.environments import PATH_LOSSES
from edgesim.radio.channel.path_loss.outdoor_to_indoor import Facade
from edgesim.radio.motion.handover import A3
from edgesim.scenario.schema.adaptation import AdaptationChoice
from edgesim.scenario.schema.contention import ContentionEntry
from edgesim.scenario.text.section import Choice, Section, made

__all__ = [
    "ACCESSES",
    "Access",
    "CsiEntry",
    "FacadeEntry",
    "FadingEntry",
    "HandoverEntry",
    "InterferenceEntry",
    "LawChoice",
    "NakagamiEntry",
    "PropagationEntry",
    "RadioEntry",
    "RicianEntry",
    "SlotPattern",
    "TransceiverOverrides",
]

Access = Literal["equal", "weighted", "tdma", "round-robin", "proportional-fair", "max-rate", "dcf"]
ACCESSES: tuple[Access, ...] = (
    "equal", "weighted", "tdma", "round-robin", "proportional-fair", "max-rate", "dcf",
)  # fmt: skip


def _slots(text: str) -> str:
    if not text or set(text) - set("DUS"):
        refuse(f"expected slots D (down), U (up) and S (special), such as DDDSU, got {text!r}")
    return text


SlotPattern = Annotated[str, AfterValidator(_slots), Field(json_schema_extra={"pattern": "^[DUS]+$"})]
"""Slots of a time-division duplex."""

_CLUTTER = ("clutter_density", "clutter_size_m", "clutter_height_m")
_POWER_LAW = ("exponent", "reference_m", "reference_loss_db", "sigma_db")


class TransceiverOverrides(Section):
    """One end's radio, where it differs from the catalogue's."""

    power_dbm: DecibelsMilliwatt | None = Field(default=None, alias="power")
    """Transmit power over the whole band."""
    gain_dbi: DecibelsIsotropic | None = Field(default=None, alias="gain")
    """Antenna gain, the same in all directions."""
    noise_figure_db: NonNegativeDecibels | None = Field(default=None, alias="noise_figure")
    """What the receiver adds to thermal noise."""
    height_m: PositiveMetres | None = Field(default=None, alias="height")
    """Height of the antenna."""


class RadioEntry(Section):
    """A radio of the catalogue (`edgesim list radios`), and what differs from it; its name alone will do."""

    use: str
    """Name of the radio."""
    carrier_hz: Hertz | None = Field(default=None, alias="carrier")
    """Carrier frequency."""
    bandwidth_hz: Hertz | None = Field(default=None, alias="bandwidth")
    """Width of the band."""
    latency_s: Seconds | None = Field(default=None, alias="latency")
    """Fixed delay of a message each way, after its time on the air: decoding, stacks, the core network."""
    access: Access | None = None
    """How the transfers of one cell share the band."""
    tdd: SlotPattern | None = None
    """Slots of a time-division duplex: D down, U up, S special (guard)."""
    rts_cts: bool = False
    """Of Wi-Fi: whether RTS and CTS come before each transmission, so that they alone collide."""
    contention: ContentionEntry = ContentionEntry()
    """Of Wi-Fi: access category, aggregation, RTS and CTS by length, acknowledgements of the transport."""
    fairness_window: Annotated[int, Field(strict=True, ge=1)] = 100
    """Under `access: proportional-fair`: slots over which rates are averaged."""
    patience_s: PositiveSeconds = Field(default=10.0, alias="patience")
    """How long a message waits while its link is out of reach; then it is lost."""
    max_attempts: Annotated[int, Field(strict=True, ge=1, le=16)] | None = None
    """Transmissions of a block before it is left to ARQ."""
    arq_limit: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None
    """How often ARQ sends a block anew, or Wi-Fi a frame; after that the message is lost."""
    adaptation: AdaptationChoice | None = None
    """Schemes, rates and errors: `shannon`, or settings of the radio's own standard."""
    target_bler: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Block error rate that link adaptation aims at in a block's first attempt."""
    terminal: TransceiverOverrides = TransceiverOverrides()
    """The radios of the first group in `between`."""
    station: TransceiverOverrides = TransceiverOverrides()
    """The radios of the second group."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        return {"use": data} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the name alone, too."""
        return {"anyOf": [{"type": "string", "examples": ["nr-n78", "wifi6"]}, handler(core_schema)]}


class FacadeEntry(Section):
    """The outer wall that terminals are behind."""

    wall: Literal["simple", "low-loss", "high-loss"] = "low-loss"
    """`simple`: 20 dB, below 6 GHz; `low-loss`: plain glass and concrete; `high-loss`: coated glass."""
    depth_m: Metres = Field(default=0.0, alias="depth")
    """Distance from the wall."""

    @model_validator(mode="after")
    def _inside(self) -> FacadeEntry:
        if self.depth_m < 0:
            refuse(f"'depth' is the distance behind the wall; expected 0 m or more, got {self.depth_m:g} m")
        return self

    def value(self) -> Facade:
        """Return the wall."""
        return Facade(self.wall)


class PropagationEntry(Section):
    """How a signal fades with distance; the model's name alone will do."""

    model: str
    """free-space, log-distance, 3gpp-umi, 3gpp-uma, 3gpp-inh or 3gpp-inf."""
    variant: str | None = None
    """Of 3gpp-inh: mixed or open; of 3gpp-inf: sl, dl, sh or dh."""
    clutter_density: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of 3gpp-inf: share of the floor that machines cover; 0.2 if sparse, 0.6 if dense."""
    clutter_size_m: PositiveMetres | None = Field(default=None, alias="clutter_size")
    """Of 3gpp-inf: their width; 10 m if sparse, 2 m if dense."""
    clutter_height_m: PositiveMetres | None = Field(default=None, alias="clutter_height")
    """Of 3gpp-inf with high stations: their height; 2 m if sparse, 6 m if dense."""
    exponent: Annotated[float, Field(gt=0)] | None = None
    """Of log-distance: 2 is free space, 2.7 to 3.5 a town."""
    reference_m: PositiveMetres | None = Field(default=None, alias="reference")
    """Of log-distance: the distance from which loss is counted."""
    reference_loss_db: Decibels | None = Field(default=None, alias="reference_loss")
    """Of log-distance: the loss there; free space's if not given."""
    sigma_db: NonNegativeDecibels | None = Field(default=None, alias="sigma")
    """Of log-distance: standard deviation of shadowing."""
    los: Literal["auto", "always", "never"] = "auto"
    """Line of sight: by the model's probability, always, or never."""
    shadowing: bool = True
    """Whether there is any."""
    indoor: FacadeEntry | None = None
    """What terminals are behind; none if they stand outside."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        return {"model": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _makes_sense(self) -> PropagationEntry:
        made(self.value)
        if self.indoor is not None and self.model in ("3gpp-inh", "3gpp-inf"):
            refuse(
                f"'indoor' is a wall between station and terminal, and stations of {self.model} are inside"
            )
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the name alone, too."""
        return {"anyOf": [{"enum": list(PATH_LOSSES)}, handler(core_schema)]}

    def value(self) -> PathLoss:
        """Return the model."""
        if self.model not in PATH_LOSSES:
            refuse(f"no propagation model '{self.model}'; {suggest(self.model, PATH_LOSSES)}")
        given = {
            name: value
            for name in ("variant", *_CLUTTER, *_POWER_LAW)
            if (value := getattr(self, name)) is not None
        }
        takes = {
            "log-distance": {*_POWER_LAW},
            "3gpp-inh": {"variant"},
            "3gpp-inf": {"variant", *_CLUTTER},
        }
        stray = sorted(set(given) - takes.get(self.model, set()))
        if stray:
            word = stray[0].removesuffix("_m").removesuffix("_db")
            refuse(f"'{word}' says nothing to {self.model}; leave it out")
        if self.model == "log-distance" and self.exponent is None:
            refuse("log-distance needs an 'exponent': 2 in free space, 2.7 to 3.5 in towns")
        return PATH_LOSSES[self.model](**given)


class RicianEntry(Section):
    """A direct path and scattered ones."""

    k_db: Decibels = Field(alias="k")
    """Power of the direct path over all the others."""


class NakagamiEntry(Section):
    """Nakagami's m-distribution."""

    m: Annotated[float, Field(ge=0.5)]
    """1 is Rayleigh, larger is milder."""


class LawChoice(Choice):
    """How small-scale gains are distributed."""

    example: ClassVar[str] = "rayleigh or {rician: {k: 9 dB}}"

    none: dict[str, Any] | None = None
    """No small-scale fading."""
    environment: dict[str, Any] | None = None
    """Rician in line of sight, with a K-factor drawn per link from the propagation model, else Rayleigh."""
    rayleigh: dict[str, Any] | None = None
    """Scattered paths alone."""
    rician: RicianEntry | None = None
    """A direct path and scattered ones."""
    nakagami: NakagamiEntry | None = None
    """Nakagami's m-distribution."""

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, data: object) -> object:
        """Read `rayleigh`, and `{rayleigh}`, which is a key without a value to YAML."""
        if isinstance(data, str):
            return {data: {}}
        if isinstance(data, dict):
            words = ("none", "environment", "rayleigh")
            return {key: {} if value is None and key in words else value for key, value in data.items()}
        return data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the single word, too."""
        return {"anyOf": [{"enum": ["none", "environment", "rayleigh"]}, handler(core_schema)]}

    def law(self) -> FadingLaw | None:
        """Return the law; None leaves it to the environment."""
        if self.none is not None:
            return NoFading()
        if self.rayleigh is not None:
            return Rayleigh()
        if self.rician is not None:
            return Rician(self.rician.k_db)
        return None if self.nakagami is None else Nakagami(self.nakagami.m)


class FadingEntry(Section):
    """Small-scale fading; its law alone will do."""

    law: LawChoice = LawChoice.model_validate("environment")
    """How gains are distributed."""
    speed_m_per_s: MetresPerSecond = Field(default=1.0, alias="speed")
    """How fast the surroundings of a link at rest move (people, cars, leaves); a terminal that moves faster
    counts with its own speed."""
    process: Literal["jakes", "block"] = "jakes"
    """`jakes`: as Clarke's model has it; `block`: constant for a coherence time, then drawn anew."""

    @model_validator(mode="before")
    @classmethod
    def _from_law(cls, data: object) -> object:
        if isinstance(data, str):
            return {"law": data}
        if not isinstance(data, dict) or "law" in data:
            return data
        # {rician: {k: 9 dB}, speed: 3 m/s}: the law stands beside the rest.
        law = {key: value for key, value in data.items() if key in LawChoice.model_fields}
        return {key: value for key, value in data.items() if key not in law} | ({"law": law} if law else {})

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Allow the law alone, too."""
        whole = handler(core_schema)
        laws = {"rician": RicianEntry.model_json_schema(), "nakagami": NakagamiEntry.model_json_schema()}
        beside = {k: v for k, v in handler.resolve_ref_schema(whole)["properties"].items() if k != "law"}
        short = {"title": "Law", "type": "object", "properties": laws | beside, "additionalProperties": False}
        words: dict[str, Any] = {"enum": ["none", "environment", "rayleigh"]}
        return {"anyOf": [words, whole, short]}


class CsiEntry(Section):
    """What the transmitter knows of the fading when it chooses a scheme; all of it, if nothing is said."""

    error: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Weight of the estimation error: 0 is perfect, 0.3 moderate."""
    delay_s: Seconds = Field(default=0.0, alias="delay")
    """Age of the estimate when it comes into force."""
    period_s: PositiveSeconds | None = Field(default=None, alias="period")
    """Time between estimates; whenever the channel changes if not given."""


class InterferenceEntry(Section):
    """How much cells of one channel disturb one another."""

    load: Annotated[float, Field(ge=0, le=1)] | None = None
    """For which share of the time each cell disturbs the others, whoever sends: 1 is the full buffer of
    link-level studies. While it is active if not given."""


class HandoverEntry(Section):
    """When a terminal changes cells (event A3), and what becomes of messages on the air."""

    hysteresis_db: NonNegativeDecibels = Field(default=3.0, alias="hysteresis")
    """By how much a neighbour must be better."""
    time_to_trigger_s: Seconds = Field(default=0.16, alias="time_to_trigger")
    """For how long it must be."""
    interruption_s: Seconds = Field(default=0.04, alias="interruption")
    """How long nothing is sent or received after the decision."""
    period_s: PositiveSeconds = Field(default=0.04, alias="period")
    """Time between measurements."""
    filter_coefficient: Annotated[float, Field(ge=0, le=19)] = 0.0
    """k of the layer-3 filter; 0 leaves measurements as they are."""
    in_flight: Literal["keep", "lose"] = "keep"
    """`keep`: what is left of a message goes over the new cell; `lose`: the message is lost."""

    def rule(self) -> A3:
        """Return the rule as the radio layer knows it."""
        return A3(
            hysteresis_db=self.hysteresis_db,
            time_to_trigger_s=self.time_to_trigger_s,
            interruption_s=self.interruption_s,
            period_s=self.period_s,
            filter_coefficient=self.filter_coefficient,
        )

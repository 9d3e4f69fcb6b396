"""Scenario sections of radio links: radio, propagation, fading, CSI, interference and handover."""

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
from edgesim.scenario.text.section import Choice, Section, made_or_refused
from edgesim.scenario.text.shorthand import Shorthand, Words, value_of

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
        refuse(
            f"expected a pattern of the slots D (down), U (up) and S (special), such as DDDSU, got {text!r}"
        )
    return text


SlotPattern = Annotated[str, AfterValidator(_slots), Field(json_schema_extra={"pattern": "^[DUS]+$"})]
"""Slot pattern of time-division duplex, such as DDDSU."""

_CLUTTER = ("clutter_density", "clutter_size_m", "clutter_height_m")
_POWER_LAW = ("exponent", "reference_m", "reference_loss_db", "sigma_db")


class TransceiverOverrides(Section):
    """Figures of one end's radio that differ from the catalogue's."""

    power_dbm: DecibelsMilliwatt | None = Field(default=None, alias="power")
    """Transmit power over the whole bandwidth."""
    gain_dbi: DecibelsIsotropic | None = Field(default=None, alias="gain")
    """Antenna gain, equal in all directions."""
    noise_figure_db: NonNegativeDecibels | None = Field(default=None, alias="noise_figure")
    """Noise figure of the receiver, added to thermal noise."""
    height_m: PositiveMetres | None = Field(default=None, alias="height")
    """Antenna height."""


class RadioEntry(Section):
    """A radio of the catalogue (`edgesim list radios`) and overrides of its figures, or only its name."""

    shorthand: ClassVar[Shorthand | None] = value_of(
        "use", str, schema={"type": "string", "examples": ["nr-n78", "wifi6"]}
    )

    use: str
    """Name of the radio."""
    carrier_hz: Hertz | None = Field(default=None, alias="carrier")
    """Carrier frequency."""
    bandwidth_hz: Hertz | None = Field(default=None, alias="bandwidth")
    """Bandwidth."""
    latency_s: Seconds | None = Field(default=None, alias="latency")
    """Fixed delay of a message in each direction, added to its time on the air: decoding, protocol stacks,
    the core network."""
    access: Access | None = None
    """Medium access: how the transfers of one cell share the band."""
    tdd: SlotPattern | None = None
    """Slot pattern of time-division duplex: D down, U up, S special (guard)."""
    rts_cts: bool = False
    """Wi-Fi only: whether RTS and CTS precede each transmission, so that only they can collide."""
    contention: ContentionEntry = ContentionEntry()
    """Wi-Fi only: access category, aggregation, RTS/CTS threshold, and transport-layer acknowledgements."""
    fairness_window: Annotated[int, Field(strict=True, ge=1)] = 100
    """With `access: proportional-fair`: number of slots over which rates are averaged."""
    patience_s: PositiveSeconds = Field(default=10.0, alias="patience")
    """Longest time that a message waits while its link is out of range; then it is lost."""
    max_attempts: Annotated[int, Field(strict=True, ge=1, le=16)] | None = None
    """Most HARQ transmissions of a block before ARQ takes over."""
    arq_limit: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None
    """Most ARQ retransmissions of a block, or of a Wi-Fi frame; after the last the message is lost."""
    adaptation: AdaptationChoice | None = None
    """Link adaptation (schemes, rates and errors): `shannon`, or settings of the radio's own standard."""
    target_bler: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Target block error rate of link adaptation for a block's first attempt."""
    terminal: TransceiverOverrides = TransceiverOverrides()
    """Radio figures of the first group in `between`."""
    station: TransceiverOverrides = TransceiverOverrides()
    """Radio figures of the second group in `between`."""


class FacadeEntry(Section):
    """Building facade between the stations and indoor terminals."""

    wall: Literal["simple", "low-loss", "high-loss"] = "low-loss"
    """Penetration loss: `simple`, 20 dB, below 6 GHz; `low-loss`, plain glass and concrete; `high-loss`,
    coated glass."""
    depth_m: Metres = Field(default=0.0, alias="depth")
    """Indoor distance from the wall."""

    @model_validator(mode="after")
    def _inside(self) -> FacadeEntry:
        if self.depth_m < 0:
            refuse(
                f"'depth' is the indoor distance from the wall; expected 0 m or more, got {self.depth_m:g} m"
            )
        return self

    def value(self) -> Facade:
        """Return the facade for the path-loss model."""
        return Facade(self.wall)


class PropagationEntry(Section):
    """Propagation: path loss, line of sight and shadowing; or only the name of the model."""

    shorthand: ClassVar[Shorthand | None] = value_of("model", str, schema={"enum": list(PATH_LOSSES)})

    model: str
    """Path-loss model: free-space, log-distance, 3gpp-umi, 3gpp-uma, 3gpp-inh or 3gpp-inf."""
    variant: str | None = None
    """Variant of 3gpp-inh (mixed or open) or of 3gpp-inf (sl, dl, sh or dh)."""
    clutter_density: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of 3gpp-inf: share of the floor covered by clutter (machines); by default 0.2 if sparse, 0.6 if
    dense."""
    clutter_size_m: PositiveMetres | None = Field(default=None, alias="clutter_size")
    """Of 3gpp-inf: clutter width; by default 10 m if sparse, 2 m if dense."""
    clutter_height_m: PositiveMetres | None = Field(default=None, alias="clutter_height")
    """Of 3gpp-inf with high stations: clutter height; by default 2 m if sparse, 6 m if dense."""
    exponent: Annotated[float, Field(gt=0)] | None = None
    """Of log-distance: path-loss exponent; 2 in free space, 2.7 to 3.5 in a town."""
    reference_m: PositiveMetres | None = Field(default=None, alias="reference")
    """Of log-distance: reference distance."""
    reference_loss_db: Decibels | None = Field(default=None, alias="reference_loss")
    """Of log-distance: path loss at the reference distance; by default free space's."""
    sigma_db: NonNegativeDecibels | None = Field(default=None, alias="sigma")
    """Of log-distance: standard deviation of shadowing."""
    los: Literal["auto", "always", "never"] = "auto"
    """Line of sight: by the model's probability (`auto`), always, or never."""
    shadowing: bool = True
    """Whether shadowing is simulated."""
    indoor: FacadeEntry | None = None
    """Facade of the building in which the terminals are; by default they are outdoors."""

    @model_validator(mode="after")
    def _makes_sense(self) -> PropagationEntry:
        made_or_refused(self.value)
        if self.indoor is not None and self.model in ("3gpp-inh", "3gpp-inf"):
            refuse(
                f"'indoor' is a wall between station and terminal, but stations of {self.model} are indoors; "
                "leave it out"
            )
        return self

    def value(self) -> PathLoss:
        """Return the path-loss model."""
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
            refuse(f"'{word}' is no parameter of {self.model}; leave it out")
        if self.model == "log-distance" and self.exponent is None:
            refuse("log-distance needs an 'exponent': 2 in free space, 2.7 to 3.5 in towns")
        return PATH_LOSSES[self.model](**given)


class RicianEntry(Section):
    """Rician fading: a direct path and scattered ones."""

    k_db: Decibels = Field(alias="k")
    """K-factor: power of the direct path over that of all scattered paths."""


class NakagamiEntry(Section):
    """Nakagami-m fading."""

    m: Annotated[float, Field(ge=0.5)]
    """Shape parameter m; 1 is Rayleigh, larger values are milder."""


class LawChoice(Choice):
    """Distribution of small-scale fading gains."""

    shorthand: ClassVar[Shorthand | None] = Words(("none", "environment", "rayleigh"))

    example: ClassVar[str] = "rayleigh or {rician: {k: 9 dB}}"

    none: dict[str, Any] | None = None
    """No small-scale fading."""
    environment: dict[str, Any] | None = None
    """Rician in line of sight, with a K-factor drawn per link from the propagation model; otherwise
    Rayleigh."""
    rayleigh: dict[str, Any] | None = None
    """Rayleigh fading: scattered paths only."""
    rician: RicianEntry | None = None
    """Rician fading: a direct path and scattered ones."""
    nakagami: NakagamiEntry | None = None
    """Nakagami-m fading."""

    def law(self) -> FadingLaw | None:
        """Return the fading law; None means that the environment's is used."""
        if self.none is not None:
            return NoFading()
        if self.rayleigh is not None:
            return Rayleigh()
        if self.rician is not None:
            return Rician(self.rician.k_db)
        return None if self.nakagami is None else Nakagami(self.nakagami.m)


class FadingEntry(Section):
    """Small-scale fading, or only its law."""

    law: LawChoice = LawChoice.model_validate("environment")
    """Distribution of the gains."""
    speed_m_per_s: MetresPerSecond = Field(default=1.0, alias="speed")
    """Speed of the surroundings of a link at rest (people, cars, leaves); for a terminal that moves faster,
    its own speed is used."""
    process: Literal["jakes", "block"] = "jakes"
    """Correlation in time: `jakes`, Clarke's model; `block`, constant for a coherence time, then drawn
    again."""

    @model_validator(mode="before")
    @classmethod
    def _from_law(cls, data: object) -> object:
        if isinstance(data, str):
            return {"law": data}
        if not isinstance(data, dict) or "law" in data:
            return data
        # {rician: {k: 9 dB}, speed: 3 m/s}: the law's key is on the same level as the other keys.
        law = {key: value for key, value in data.items() if key in LawChoice.model_fields}
        return {key: value for key, value in data.items() if key not in law} | ({"law": law} if law else {})

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return a schema that also accepts the law alone, or its key beside the other keys."""
        whole = handler(core_schema)
        laws = {"rician": RicianEntry.model_json_schema(), "nakagami": NakagamiEntry.model_json_schema()}
        beside = {k: v for k, v in handler.resolve_ref_schema(whole)["properties"].items() if k != "law"}
        short = {"title": "Law", "type": "object", "properties": laws | beside, "additionalProperties": False}
        words: dict[str, Any] = {"enum": ["none", "environment", "rayleigh"]}
        return {"anyOf": [words, whole, short]}


class CsiEntry(Section):
    """Channel state information with which the transmitter selects a scheme; perfect by default."""

    error: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Weight of the estimation error: 0 is perfect, 0.3 is moderate."""
    delay_s: Seconds = Field(default=0.0, alias="delay")
    """Age of an estimate when it is first used."""
    period_s: PositiveSeconds | None = Field(default=None, alias="period")
    """Time between estimates; by default a new one whenever the channel changes."""


class InterferenceEntry(Section):
    """Interference between the cells of one channel."""

    load: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the time during which each cell interferes with the others, regardless of its transmissions; 1
    is the full buffer of link-level studies. By default a cell interferes while it is active."""


class HandoverEntry(Section):
    """Handover rule (event A3), and its effect on messages in flight."""

    hysteresis_db: NonNegativeDecibels = Field(default=3.0, alias="hysteresis")
    """Hysteresis: margin by which a neighbour cell must be better."""
    time_to_trigger_s: Seconds = Field(default=0.16, alias="time_to_trigger")
    """Time for which the neighbour cell must be better by this margin."""
    interruption_s: Seconds = Field(default=0.04, alias="interruption")
    """Interruption after the decision, in which nothing is sent or received."""
    period_s: PositiveSeconds = Field(default=0.04, alias="period")
    """Time between measurements."""
    filter_coefficient: Annotated[float, Field(ge=0, le=19)] = 0.0
    """Coefficient k of the layer-3 filter; 0 leaves measurements unfiltered."""
    in_flight: Literal["keep", "lose"] = "keep"
    """Messages in flight: `keep` sends the rest of a message over the new cell; `lose` loses the message."""

    def rule(self) -> A3:
        """Return the rule for the radio layer."""
        return A3(
            hysteresis_db=self.hysteresis_db,
            time_to_trigger_s=self.time_to_trigger_s,
            interruption_s=self.interruption_s,
            period_s=self.period_s,
            filter_coefficient=self.filter_coefficient,
        )

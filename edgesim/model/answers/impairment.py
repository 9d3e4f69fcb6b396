"""What a bad channel does to the tensors that devices exchange: kinds and levels, as values.

How each acts inside a forward pass is in :mod:`edgesim.measure.impairments`. Two places matter. At an
*all-reduce* of tensor parallelism the devices' partial sums are added: once after attention's output
projection and once after the MLP's, before the residual. At a *split* the hidden state between two blocks
travels from one device to the next.

Powers are per token: the mean square of a token's vector, since a token's vector is what a decode step sends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self

from edgesim.errors import InputError

__all__ = [
    "OUTAGE_FLOOR",
    "AllReduceNoise",
    "Combined",
    "DeviceNoise",
    "Erasure",
    "FadedNoise",
    "Impairment",
    "Quantised",
]

OUTAGE_FLOOR = 0.1
"""Least power gain at which a faded message is sent, relative to the mean gain (linear; -10 dB)."""

_PACKET_ELEMENTS = 64


class Impairment(Protocol):
    """One kind of impairment at one level.

    Two impairments with the same name, block and number of devices differ in their level alone, so that a
    table over levels stands for them all.
    """

    clean_level: ClassVar[float | None]
    """The level at which nothing is impaired; None if there is none."""

    @property
    def name(self) -> str:
        """The kind, with all that sets it apart but level, block and number of devices."""

    @property
    def level(self) -> float:
        """How bad: what a table's axis is."""

    @property
    def block(self) -> int | None:
        """After how many blocks it acts; None if at every all-reduce."""

    @property
    def n_devices(self) -> int | None:
        """Number of devices whose partial sums are impaired one by one; None if only their sum is."""

    @property
    def is_nothing(self) -> bool:
        """Whether it leaves everything as it is, to the bit."""

    def at(self, level: float) -> Self:
        """Return the same kind at another level."""


@dataclass(frozen=True, slots=True)
class _OfNoise:
    """What kinds of noise share: a normalised mean square error is their level."""

    nmse: float
    clean_level: ClassVar[float | None] = 0.0

    @property
    def level(self) -> float:
        return self.nmse

    @property
    def is_nothing(self) -> bool:
        return self.nmse == 0

    def at(self, level: float) -> Self:
        return replace(self, nmse=level)


@dataclass(frozen=True, slots=True)
class AllReduceNoise(_OfNoise):
    """Gaussian noise on the result of every all-reduce.

    Attributes
    ----------
    nmse
        Normalised mean square error: the noise's variance over the mean square of the summed vector, biases
        left out (linear).

    Not modelled: an error that depends on the values sent, as clipping does, or that is the same for several
    tokens.
    """

    def __post_init__(self) -> None:
        _check_nmse(self.nmse)

    @property
    def name(self) -> str:
        return "noise"

    @property
    def block(self) -> int | None:
        return None

    @property
    def n_devices(self) -> int | None:
        return None


@dataclass(frozen=True, slots=True)
class DeviceNoise(_OfNoise):
    """Gaussian noise on each device's own contribution to every all-reduce, as in uncoded analog schemes.

    Heads and columns of the MLP are divided evenly. The devices' errors add up, but so do their partial sums,
    and not at random: where these agree, their powers together are less than that of their sum, and the same
    error relative to each impairs less than relative to the sum; where they cancel, more.

    Attributes
    ----------
    nmse
        The variance of a device's noise over the mean square of its own partial sum (linear).
    n_devices
        Number of devices.
    """

    n_devices: int

    def __post_init__(self) -> None:
        _check_nmse(self.nmse)
        _check_count(self.n_devices, "devices")

    @property
    def name(self) -> str:
        return "device-noise"

    @property
    def block(self) -> int | None:
        return None


@dataclass(frozen=True, slots=True)
class Quantised:
    """Each device's partial sum is rounded before every all-reduce.

    The quantiser is uniform and symmetric, with one step size for each token's vector: its largest magnitude
    over ``2**(bits - 1) - 1``.

    Attributes
    ----------
    bits
        Bits of a value, from 2; infinite for no rounding.
    n_devices
        Number of devices among which heads and columns are divided.
    """

    bits: float
    n_devices: int = 1
    clean_level: ClassVar[float | None] = math.inf

    def __post_init__(self) -> None:
        if not (self.bits >= 2 and (math.isinf(self.bits) or self.bits % 1 == 0)):
            raise InputError(f"quantised to {self.bits} bits; expected a whole number from 2, or infinity")
        _check_count(self.n_devices, "devices")

    @property
    def name(self) -> str:
        return "quantised"

    @property
    def level(self) -> float:
        return self.bits

    @property
    def block(self) -> int | None:
        return None

    @property
    def is_nothing(self) -> bool:
        return math.isinf(self.bits)

    def at(self, level: float) -> Self:
        return replace(self, bits=level)


@dataclass(frozen=True, slots=True)
class Erasure:
    """Elements or packets of the hidden state are lost at a split, and zeros take their place.

    Attributes
    ----------
    p
        Probability that an element, or a packet, is lost; independent of all others.
    block
        After how many blocks the state is split off.
    unit
        ``element``, or ``packet`` for runs of consecutive elements of one token's vector.
    packet_elements
        Elements of a packet; the last of a vector may be shorter.
    is_rescaled
        Whether what arrives is multiplied by ``1 / (1 - p)``, which keeps its mean.
    """

    p: float
    block: int
    unit: str = "element"
    packet_elements: int = _PACKET_ELEMENTS
    is_rescaled: bool = False
    clean_level: ClassVar[float | None] = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.p < 1:
            raise InputError(f"erasure with probability {self.p}; expected 0 or more and less than 1")
        if self.unit not in ("element", "packet"):
            raise InputError(f"erasure of '{self.unit}'; expected 'element' or 'packet'")
        _check_count(self.block, "blocks before the split")
        _check_count(self.packet_elements, "elements in a packet")

    @property
    def name(self) -> str:
        if self.unit == "element":
            kind = "erasure"
        elif self.packet_elements == _PACKET_ELEMENTS:
            kind = "packet-erasure"
        else:
            kind = f"packet-erasure-of-{self.packet_elements}"
        return f"{kind}-rescaled" if self.is_rescaled else kind

    @property
    def level(self) -> float:
        return self.p

    @property
    def n_devices(self) -> int | None:
        return None

    @property
    def is_nothing(self) -> bool:
        return self.p == 0

    def at(self, level: float) -> Self:
        return replace(self, p=level)


@dataclass(frozen=True, slots=True)
class FadedNoise(_OfNoise):
    """Noise of a channel that fades from message to message and is equalised by its receiver.

    A message is one token's vector. Its power gain g has the Gamma law of Nakagami fading, shape m and mean
    1, given that g is at least :data:`OUTAGE_FLOOR`: below it the sender waits for a better channel, as in
    truncated channel inversion. Dividing by the amplitude gain leaves Gaussian noise of NMSE ``nmse / g``.
    Without a floor the mean of ``1 / g`` would not exist for m = 1 (Rayleigh).

    Attributes
    ----------
    nmse
        The noise's variance over the mean square of the vector, at the mean gain (linear).
    m
        Nakagami's shape, from 0.5; 1 is Rayleigh fading, infinite none.
    block
        After how many blocks it acts; None for every all-reduce.
    """

    m: float
    block: int | None = None

    def __post_init__(self) -> None:
        _check_nmse(self.nmse)
        if not self.m >= 0.5:
            raise InputError(f"Nakagami fading of shape {self.m}; expected 0.5 or more")
        if self.block is not None:
            _check_count(self.block, "blocks before the split")

    @property
    def name(self) -> str:
        return f"faded-noise-m{self.m:g}"

    @property
    def n_devices(self) -> int | None:
        return None


@dataclass(frozen=True, slots=True)
class Combined:
    """Several impairments at once, in their order where they meet at one place.

    Its level is that of the first part; the others are fixed, and their levels are in its name.

    Attributes
    ----------
    parts
        Two or more impairments, none of them combined.
    """

    parts: tuple[Impairment, ...]
    clean_level: ClassVar[float | None] = None

    def __post_init__(self) -> None:
        if len(self.parts) < 2 or any(isinstance(part, Combined) for part in self.parts):
            raise InputError("combined impairments: give two or more, none of them combined already")

    @property
    def name(self) -> str:
        first, *others = self.parts
        return "+".join([first.name, *(_label(other) for other in others)])

    @property
    def level(self) -> float:
        return self.parts[0].level

    @property
    def block(self) -> int | None:
        return self.parts[0].block

    @property
    def n_devices(self) -> int | None:
        return self.parts[0].n_devices

    @property
    def is_nothing(self) -> bool:
        return all(part.is_nothing for part in self.parts)

    def at(self, level: float) -> Self:
        first, *others = self.parts
        return replace(self, parts=(first.at(level), *others))


def _label(part: Impairment) -> str:
    """Name a part in full: ``erasure@0.1-after-4``."""
    after = "" if part.block is None else f"-after-{part.block}"
    among = "" if part.n_devices is None else f"-of-{part.n_devices}-devices"
    return f"{part.name}@{part.level:g}{after}{among}"


def _check_nmse(nmse: float) -> None:
    if not 0 <= nmse < math.inf:
        raise InputError(f"noise of normalised mean square error {nmse}; expected a finite number from 0")


def _check_count(count: int, what: str) -> None:
    if count < 1:
        raise InputError(f"impairment with {count} {what}; expected 1 or more")

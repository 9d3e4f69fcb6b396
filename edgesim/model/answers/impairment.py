"""Impairments of the tensors that devices exchange over a bad channel: kinds and levels, as values.

Their effect inside a forward pass is implemented in :mod:`edgesim.measure.impairments`. They act at two
places. At an *all-reduce* of tensor parallelism the devices' partial sums are added: once after attention's
output projection and once after the MLP's, before the residual. At a *split* the hidden state between two
blocks is sent from one device to the next.

Powers are per token: the mean square of a token's vector, since a decode step sends one token's vector.
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
"""Minimum power gain at which a faded message is sent, relative to the mean gain (linear; -10 dB)."""

_PACKET_ELEMENTS = 64


class Impairment(Protocol):
    """One kind of impairment at one level.

    Impairments with the same name, block and number of devices differ only in their level, so that one table
    over levels covers them.
    """

    clean_level: ClassVar[float | None]
    """The level at which nothing is impaired; None if there is none."""

    @property
    def name(self) -> str:
        """Name of the kind, including all parameters except level, block and number of devices."""

    @property
    def level(self) -> float:
        """Severity of the impairment: the axis of a table."""

    @property
    def block(self) -> int | None:
        """Number of blocks after which it acts; None if it acts at every all-reduce."""

    @property
    def n_devices(self) -> int | None:
        """Number of devices whose partial sums are impaired separately; None if only their sum is."""

    @property
    def is_nothing(self) -> bool:
        """Whether it has no effect, bit for bit."""

    def at(self, level: float) -> Self:
        """Return the same kind at another level."""


@dataclass(frozen=True, slots=True)
class _OfNoise:
    """Base of noise impairments, whose level is a normalised mean square error."""

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
        Normalised mean square error: the noise's variance over the mean square of the summed vector, without
        biases (linear).

    Not modelled: errors that depend on the values sent, such as clipping, or that are common to several
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

    Heads and columns of the MLP are divided evenly. The devices' errors add up incoherently, but their
    partial sums may be correlated: where these agree, the sum of their powers is less than the power of their
    sum, and an error relative to each has less effect than the same error relative to the sum; where they
    cancel, more.

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
    """Rounding of each device's partial sum before every all-reduce.

    The quantiser is uniform and symmetric, with one step size for each token's vector: the vector's largest
    magnitude over ``2**(bits - 1) - 1``.

    Attributes
    ----------
    bits
        Bits per value, from 2; infinite for no rounding.
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
    """Loss of elements or packets of the hidden state at a split; zeros replace them.

    Attributes
    ----------
    p
        Probability that an element, or a packet, is lost; independent of all others.
    block
        Number of blocks before the split.
    unit
        ``element``, or ``packet`` for runs of consecutive elements of one token's vector.
    packet_elements
        Elements per packet; the last packet of a vector may be shorter.
    is_rescaled
        Whether received elements are multiplied by ``1 / (1 - p)``, which preserves the mean.
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
    """Noise of a channel with fading that is independent from message to message, equalised at the receiver.

    A message is one token's vector. Its power gain g follows the Gamma law of Nakagami fading, shape m and
    mean 1, conditioned on g being at least :data:`OUTAGE_FLOOR`: below it the sender waits for a better
    channel, as in truncated channel inversion. Dividing by the amplitude gain leaves Gaussian noise of NMSE
    ``nmse / g``. Without a floor the mean of ``1 / g`` would not exist for m = 1 (Rayleigh).

    Attributes
    ----------
    nmse
        The noise's variance over the mean square of the vector, at the mean gain (linear).
    m
        Nakagami's shape, from 0.5; 1 is Rayleigh fading, infinite none.
    block
        Number of blocks after which it acts; None for every all-reduce.
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
    """Several impairments at once; those that act at the same place are applied in order.

    The level is that of the first part; the levels of the other parts are fixed and are included in the name.

    Attributes
    ----------
    parts
        Two or more impairments, none of them :class:`Combined`.
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
        raise InputError(f"noise of normalised mean square error {nmse}; expected a finite number, 0 or more")


def _check_count(count: int, what: str) -> None:
    if count < 1:
        raise InputError(f"impairment with {count} {what}; expected 1 or more")

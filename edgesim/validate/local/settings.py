"""Settings that are run and simulated: placements of a model, samples in flight, links."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgesim.errors import InputError

__all__ = ["LIMITS", "LINKS", "Extent", "LinkShape", "Setting", "settings"]

Kind = Literal["single", "pipeline", "tensor"]

LIMITS: dict[Kind, float] = {"single": 0.02, "pipeline": 0.03, "tensor": 0.06}
"""Largest accepted deviation of a median ratio from 1, by kind."""


@dataclass(frozen=True, slots=True)
class LinkShape:
    """A rate and latency imposed on the ring's links; a rate of None leaves them as fast as the host.

    Attributes
    ----------
    rate_bps, latency_s
        As in :class:`edgesim.measure.real.ring_socket.LinkShaping`.
    """

    name: str
    rate_bps: float | None = None
    latency_s: float = 0.0

    @property
    def order(self) -> list[float] | None:
        """The shape as sent to a worker; None if not shaped."""
        return None if self.rate_bps is None else [self.rate_bps, self.latency_s]


LINKS = (
    LinkShape("host"),
    # About the application rates of a lone IEEE 802.11n station on 20 MHz and of one of several 802.11g ones.
    LinkShape("80 Mbit/s, 2 ms", 80e6, 2e-3),
    LinkShape("20 Mbit/s, 5 ms", 20e6, 5e-3),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Lengths of prompt and answer, in tokens."""

    n_prompt: int = 32
    n_out: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to run a model.

    Attributes
    ----------
    n_devices
        Number of processes.
    n_samples
        Samples in flight.
    """

    kind: Kind
    n_devices: int = 1
    n_samples: int = 1
    link: LinkShape = LINKS[0]

    @property
    def name(self) -> str:
        """Description of the setting."""
        if self.kind == "single":
            return "single device"
        if self.kind == "tensor":
            return f"tensor parallel of {self.n_devices}"
        over = "" if self.link.rate_bps is None else f", {self.link.name}"
        return f"pipeline of {self.n_devices}, {self.n_samples} in flight{over}"

    @property
    def limit(self) -> float:
        """Largest accepted deviation of the median ratio from 1."""
        return LIMITS[self.kind]

    @property
    def is_crowded(self) -> bool:
        """Whether several processes compute at the same time."""
        return self.kind == "tensor" or self.n_samples > 1


def settings(n_stages: int, n_cores: int, n_blocks: int) -> Iterator[Setting]:
    """Yield every setting for which this host has enough cores.

    Raises
    ------
    InputError
        If there are fewer cores than stages, or fewer blocks.
    """
    if n_stages > n_cores:
        raise InputError(
            f"--stages {n_stages}: each process needs its own core, but only {n_cores} may be used; give "
            "fewer stages"
        )
    if n_stages > n_blocks:
        raise InputError(f"--stages {n_stages}: a model of {n_blocks} blocks; give fewer stages")
    yield Setting(kind="single")
    if n_stages > 1:
        for n_samples in (1, n_stages):
            for link in LINKS:
                yield Setting(kind="pipeline", n_devices=n_stages, n_samples=n_samples, link=link)
    if n_cores > 1:
        yield Setting(kind="tensor", n_devices=2)

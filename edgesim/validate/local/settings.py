"""What is really run and simulated: how a model is spread, samples in flight, links between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgesim.errors import InputError

__all__ = ["LIMITS", "LINKS", "Extent", "LinkShape", "Setting", "settings"]

Kind = Literal["single", "pipeline", "tensor"]

LIMITS: dict[Kind, float] = {"single": 0.02, "pipeline": 0.03, "tensor": 0.06}
"""How far a median of ratios may be from 1, by kind."""


@dataclass(frozen=True, slots=True)
class LinkShape:
    """What is put upon the ring's links: a rate and a latency; None: they are as fast as the host is.

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
        """What a worker needs to put it upon its link."""
        return None if self.rate_bps is None else [self.rate_bps, self.latency_s]


LINKS = (
    LinkShape("host"),
    # About what one station of IEEE 802.11n on 20 MHz gives an application, and one of 802.11g amid others.
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
        Processes.
    n_samples
        Samples in flight.
    """

    kind: Kind
    n_devices: int = 1
    n_samples: int = 1
    link: LinkShape = LINKS[0]

    @property
    def name(self) -> str:
        """Say it in words."""
        if self.kind == "single":
            return "single device"
        if self.kind == "tensor":
            return f"tensor parallel of {self.n_devices}"
        over = "" if self.link.rate_bps is None else f", {self.link.name}"
        return f"pipeline of {self.n_devices}, {self.n_samples} in flight{over}"

    @property
    def limit(self) -> float:
        """How far the median ratio may be from 1."""
        return LIMITS[self.kind]

    @property
    def is_crowded(self) -> bool:
        """Whether several processes compute at once."""
        return self.kind == "tensor" or self.n_samples > 1


def settings(n_stages: int, n_cores: int, n_blocks: int) -> Iterator[Setting]:
    """Every way to run a model that this host has the cores for.

    Raises
    ------
    InputError
        If there are fewer cores than stages, or blocks.
    """
    if n_stages > n_cores:
        raise InputError(
            f"--stages {n_stages}: each process has a core of its own, and this one may use {n_cores}; ask "
            "for fewer stages"
        )
    if n_stages > n_blocks:
        raise InputError(f"--stages {n_stages}: a model of {n_blocks} blocks; ask for fewer stages")
    yield Setting(kind="single")
    if n_stages > 1:
        for n_samples in (1, n_stages):
            for link in LINKS:
                yield Setting(kind="pipeline", n_devices=n_stages, n_samples=n_samples, link=link)
    if n_cores > 1:
        yield Setting(kind="tensor", n_devices=2)

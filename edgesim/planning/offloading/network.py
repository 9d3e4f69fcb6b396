"""Networks of end devices, layers of servers with consecutive sub-models, and the links between them.

Stage 0 consists of the end devices, where tasks arrive; a server of stage h holds sub-model h. A task goes
from a node to one of the nodes of the next stage that it reaches, and leaves after sub-model h with
probability ``1 - I_h``. Xie et al. 2024 (arXiv 2412.08284). Where its formulas use FLOP and FLOP/s, this
module uses measured times: ``service_s`` is alpha_h / mu_j.

Departures from the paper: a server's service time may have any variance (its queue follows
Pollaczek-Khinchine), a link may have its own queue, and an end device that computes sub-model 1 itself is
represented by a node of stage 1 that only it reaches, over a link that takes no time.

Not modelled: a processor that serves two sub-models (or two stages) from one queue, several links that share
one medium, and the return of an answer to its device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import InputError

__all__ = ["DemandUnderExits", "Heads", "OffloadingNetwork", "OffloadingNode"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class DemandUnderExits(Protocol):
    """Demand that depends on exits beyond the number of tasks that arrive."""

    def under(self, network: OffloadingNetwork, continues: Floats) -> OffloadingNetwork:
        """Return the network with these continuation shares [n_stages - 2] and the resulting times."""


@dataclass(frozen=True, eq=False)
class Heads:
    """Service times where exits have their own heads, which are computed only at open exits.

    Attributes
    ----------
    bare_s, head_s : [n_nodes]
        Mean time of each node's sub-model without a head, and the time that the head adds.
    """

    bare_s: Floats

    head_s: Floats

    def service_s(self, is_open: NDArray[np.bool_]) -> Floats:
        """Return the service times, with heads where exits are open: [n_nodes]."""
        return np.where(is_open, self.bare_s + self.head_s, self.bare_s)


@dataclass(frozen=True, slots=True)
class OffloadingNode:
    """A device or a server.

    Attributes
    ----------
    stage
        0 for an end device, h for a server that holds sub-model h.
    service_s
        Mean time to compute its sub-model once; 0 at stage 0.
    arrivals_per_s
        Rate of the tasks that arrive at this node from outside.
    scv
        Squared coefficient of variation of the service time: 1 exponential (M/M/1), 0 constant (M/D/1). An
        equally shared processor (PS) has the mean delay of scv = 1 for any service-time distribution.
    """

    name: str
    stage: int
    service_s: float = 0.0
    arrivals_per_s: float = 0.0
    scv: float = 1.0


@dataclass(frozen=True, eq=False)
class OffloadingNetwork:
    """A network: nodes in order of their stages, links in order of the nodes that they leave.

    Arrays over nodes are [n_nodes], over links [n_links]. :meth:`of` puts them in order and checks them.

    Attributes
    ----------
    stage, arrivals_per_s, service_s, scv
        As in :class:`OffloadingNode`.
    tail, head
        Nodes that each link leaves and enters.
    transfer_s
        Mean time that a task takes over each link; with a queue, the time that it occupies the link.
    link_scv
        Squared coefficient of variation of that time for links with their own queue; nan for links whose time
        does not depend on load. None: no link has a queue.
    continues : [n_stages]
        I_h, the share of the tasks at stage h that continues to the next: 1 at stage 0, 0 at the last.
    work
        Model of the tasks' demand under other shares; None: demand per task does not depend on them.
    heads
        Times that exits add to service times; an exit that all tasks pass is closed, and adds none. None:
        service times do not depend on exits.
    """

    names: tuple[str, ...]
    stage: Ints
    arrivals_per_s: Floats
    service_s: Floats
    scv: Floats
    tail: Ints
    head: Ints
    transfer_s: Floats
    continues: Floats
    link_scv: Floats | None = None
    work: DemandUnderExits | None = None
    heads: Heads | None = None

    @classmethod
    def of(
        cls,
        nodes: Sequence[OffloadingNode],
        transfer_s: Mapping[tuple[str, str], float],
        continues: Sequence[float] = (),
        *,
        link_scv: Mapping[tuple[str, str], float] | None = None,
    ) -> OffloadingNetwork:
        """Build the network from nodes and links (given by the names of their ends), put in order.

        Parameters
        ----------
        continues : [n_stages - 2]
            Continuation shares after sub-models 1 .. H - 1. Empty: all tasks continue.
        link_scv
            Links that have queues.

        Raises
        ------
        InputError
            If a link does not join consecutive stages, a node has no outgoing link, or a number is out of
            range.
        """
        ordered = sorted(nodes, key=lambda node: node.stage)  # stable: as given within a stage
        place = {node.name: number for number, node in enumerate(ordered)}
        for pair in transfer_s:
            if not set(pair) <= place.keys():
                raise InputError(
                    f"offloading: link {pair} joins nodes that are not given; add them to the nodes"
                )
        pairs = sorted(transfer_s, key=lambda pair: (place[pair[0]], place[pair[1]]))
        queues = None
        if link_scv is not None:
            queues = np.array([link_scv.get(pair, np.nan) for pair in pairs], np.float64)
        n_stages = ordered[-1].stage + 1 if ordered else 0
        between = list(continues) if len(continues) else [1.0] * max(0, n_stages - 2)
        return cls(
            names=tuple(node.name for node in ordered),
            stage=np.array([node.stage for node in ordered], np.int64),
            arrivals_per_s=np.array([node.arrivals_per_s for node in ordered], np.float64),
            service_s=np.array([node.service_s for node in ordered], np.float64),
            scv=np.array([node.scv for node in ordered], np.float64),
            tail=np.array([place[a] for a, _ in pairs], np.int64),
            head=np.array([place[b] for _, b in pairs], np.int64),
            transfer_s=np.array([transfer_s[pair] for pair in pairs], np.float64),
            continues=np.array([1.0, *between, 0.0], np.float64),
            link_scv=queues,
        )

    def __post_init__(self) -> None:
        if len(set(self.names)) != self.n_nodes or self.n_nodes == 0 or self.n_stages < 2:
            raise InputError("offloading: expected nodes of at least two stages, each with its own name")
        if set(self.stage.tolist()) != set(range(self.n_stages)) or np.any(np.diff(self.stage) < 0):
            raise InputError(
                f"offloading: stages {sorted(set(self.stage.tolist()))}; expected every one from 0, in order"
            )
        if self.continues.shape != (self.n_stages,):
            raise InputError(
                f"offloading: {len(self.continues) - 2} shares between {self.n_stages - 1} sub-models; "
                f"expected {self.n_stages - 2}, one after each but the last"
            )
        if not np.all((self.continues >= 0) & (self.continues <= 1)) or self.continues[0] != 1:
            raise InputError("offloading: continuation shares out of range; expected 0 to 1, 1 at stage 0")
        if np.any(self.stage[self.head] != self.stage[self.tail] + 1) or np.any(np.diff(self.tail) < 0):
            raise InputError(
                "offloading: a link skips or reverses stages; expected each to lead to the next stage"
            )
        lonely = np.flatnonzero((self.n_hops == 0) & (self.stage < self.n_stages - 1))
        if len(lonely):
            raise InputError(
                f"offloading: {self.names[lonely[0]]} reaches no node of stage {self.stage[lonely[0]] + 1}; "
                "give it a link"
            )
        if np.any(self.service_s[self.stage > 0] <= 0) or np.any(self.service_s[self.stage == 0] != 0):
            raise InputError("offloading: expected service times above 0 at servers, and of 0 at end devices")
        for array in (self.arrivals_per_s, self.scv, self.transfer_s):
            if not np.all(np.isfinite(array) & (array >= 0)):
                raise InputError("offloading: expected rates, variances and times of at least 0, all finite")
        if self.total_per_s <= 0:
            raise InputError("offloading: no task arrives; give an end device a rate above 0")

    @property
    def n_nodes(self) -> int:
        """Number of devices and servers."""
        return len(self.names)

    @property
    def n_links(self) -> int:
        """Number of links, which is the length of a plan."""
        return len(self.tail)

    @property
    def n_stages(self) -> int:
        """Number of stages, H + 1: end devices and sub-models."""
        return int(self.stage[-1]) + 1

    @cached_property
    def total_per_s(self) -> float:
        """Phi: total arrival rate at all nodes."""
        return float(self.arrivals_per_s.sum())

    @cached_property
    def n_hops(self) -> Ints:
        """Number of nodes that each node reaches: [n_nodes]."""
        return np.bincount(self.tail, minlength=self.n_nodes)

    @cached_property
    def onward(self) -> Floats:
        """Share of the tasks at each node that continues: [n_nodes]."""
        share: Floats = self.continues[self.stage]
        return share

    @cached_property
    def first_link(self) -> Ints:
        """Index of each node's first link, and the number of links: [n_nodes + 1]."""
        return np.concatenate([[0], np.cumsum(self.n_hops)])

    @cached_property
    def links_of_stage(self) -> tuple[slice, ...]:
        """Links that leave the nodes of each stage but the last: [n_stages - 1]."""
        bounds = np.searchsorted(self.stage[self.tail], np.arange(self.n_stages))
        return tuple(slice(int(a), int(b)) for a, b in pairwise(bounds))

    @cached_property
    def has_queue(self) -> NDArray[np.bool_]:
        """Whether each link has a queue: [n_links]."""
        if self.link_scv is None:
            return np.zeros(self.n_links, np.bool_)
        return ~np.isnan(self.link_scv)

    def links(self, node: int) -> slice:
        """Return the links that leave a node, as a slice."""
        return slice(int(self.first_link[node]), int(self.first_link[node + 1]))

    def scaled(self, factor: float) -> OffloadingNetwork:
        """Return the network with all arrival rates multiplied by a factor."""
        return replace(self, arrivals_per_s=self.arrivals_per_s * factor)

    def with_shares(self, continues: Sequence[float] | Floats) -> OffloadingNetwork:
        """Return the network with other continuation shares after sub-models 1 .. H - 1: [n_stages - 2]."""
        if self.work is not None:
            return self.work.under(self, np.array(continues, np.float64))
        shares = np.array([1.0, *continues, 0.0], np.float64)
        service_s = self.service_s if self.heads is None else self.heads.service_s(shares[self.stage] < 1)
        return replace(self, continues=shares, service_s=service_s)

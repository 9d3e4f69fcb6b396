"""What is decided before time zero: the layout, the plan to begin with, and thresholds."""

from __future__ import annotations

from dataclasses import dataclass

from edgesim.strategies.early_exit.layout import Layout
from edgesim.strategy import Placement, Stage

__all__ = ["Staged"]


@dataclass(frozen=True)
class Staged(Placement):
    """Stages of servers, and with which probabilities tasks go from one to the next.

    Attributes
    ----------
    layout
        Sub-models, servers and exits.
    plan : [n_links]
        Probabilities, in the order of the planners' network (:func:`.network.network_of`).
    thresholds : [n_stages - 1]
        With what to leave after each sub-model but the last; None where no exit stands.
    continues : [n_stages - 1]
        Share of the tasks at each sub-model that is expected to go on.
    told
        What a user should know of it.
    """

    layout: Layout
    plan: tuple[float, ...]
    thresholds: tuple[float | None, ...]
    continues: tuple[float, ...]
    told: str = ""

    @property
    def remark(self) -> str:
        """Expected delay, load and distance from the best, as far as they are known."""
        return self.told

    @classmethod
    def of(
        cls,
        layout: Layout,
        plan: tuple[float, ...],
        thresholds: tuple[float | None, ...],
        continues: tuple[float, ...],
        told: str,
    ) -> Staged:
        """Put every sub-model on the servers of its stage."""
        held = tuple(
            Stage(server, part)
            for servers, part in zip(layout.layers, layout.parts, strict=True)
            for server in servers
        )
        return cls(held, layout, plan, thresholds, continues, told)

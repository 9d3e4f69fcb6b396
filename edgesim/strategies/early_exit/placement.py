"""What is decided before time zero: the layout, the plan to begin with, and thresholds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from edgesim.strategies.early_exit.layout import Layout
from edgesim.strategies.early_exit.walk import ChannelRule
from edgesim.strategy import CacheFill, ExitRule, Placement, Stage

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
    levels : [n_stages - 1]
        The same as levels of the planners' table; empty where there is none.
    continues : [n_stages - 1]
        Share of the tasks at each sub-model that is expected to go on.
    channel
        Figures of the channel-aware exit rule; None where thresholds are what they are.
    generation
        Thresholds as a rule for all measured exits, and what is done about caches, where answers have several
        tokens that may leave early.
    told
        What a user should know of it.
    """

    layout: Layout
    plan: tuple[float, ...]
    thresholds: tuple[float | None, ...]
    levels: tuple[int, ...]
    continues: tuple[float, ...]
    channel: ChannelRule | None = None
    generation: tuple[ExitRule, CacheFill] | None = None
    told: str = ""

    @property
    def exit_rules(self) -> Collection[tuple[ExitRule, CacheFill]]:
        """What is held to measured answers before time zero."""
        return () if self.generation is None else (self.generation,)

    @property
    def rule(self) -> ExitRule | None:
        """When tokens of longer answers leave; None: never."""
        return None if self.generation is None else self.generation[0]

    @property
    def remark(self) -> str:
        """Expected delay, load and distance from the best, as far as they are known."""
        return self.told

    @classmethod
    def of(
        cls, layout: Layout, plan: tuple[float, ...], thresholds: tuple[float | None, ...], **rest: Any
    ) -> Staged:
        """Put every sub-model on the servers of its stage."""
        held = tuple(
            Stage(server, part)
            for servers, part in zip(layout.layers, layout.parts, strict=True)
            for server in servers
        )
        return cls(held, layout, plan, thresholds, **rest)

"""Placement of the strategy: layout, initial plan and thresholds, decided before time zero."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from edgesim.strategies.early_exit.layout import Layout
from edgesim.strategies.early_exit.task_path import ChannelRule
from edgesim.strategy import CacheFill, ExitRule, Placement, Stage

__all__ = ["Staged"]


@dataclass(frozen=True)
class Staged(Placement):
    """Stages of servers, with the probabilities by which tasks go from one to the next.

    Attributes
    ----------
    layout
        Sub-models, servers and exits.
    plan : [n_links]
        Probabilities, in the order of the planners' network (:func:`.network.network_of`).
    thresholds : [n_stages - 1]
        Threshold after each sub-model but the last; None where there is no exit.
    levels : [n_stages - 1]
        The same as levels of the planners' table; empty where there is none.
    continues : [n_stages - 1]
        Expected continuation share of the tasks at each sub-model.
    channel
        Parameters of the channel-aware exit rule; None: thresholds are constant.
    generation
        Thresholds as a rule for all measured exits, and the treatment of caches, for answers of several
        tokens that may leave early.
    remark_text
        Note for the user.
    """

    layout: Layout
    plan: tuple[float, ...]
    thresholds: tuple[float | None, ...]
    levels: tuple[int, ...]
    continues: tuple[float, ...]
    channel: ChannelRule | None = None
    generation: tuple[ExitRule, CacheFill] | None = None
    remark_text: str = ""

    @property
    def exit_rules(self) -> Collection[tuple[ExitRule, CacheFill]]:
        """Rules to check against measured answers before time zero."""
        return () if self.generation is None else (self.generation,)

    @property
    def rule(self) -> ExitRule | None:
        """Rule by which tokens of longer answers leave; None: they never do."""
        return None if self.generation is None else self.generation[0]

    @property
    def remark(self) -> str:
        """Expected delay, load and gap to the optimum, as far as they are known."""
        return self.remark_text

    @classmethod
    def of(
        cls, layout: Layout, plan: tuple[float, ...], thresholds: tuple[float | None, ...], **rest: Any
    ) -> Staged:
        """Place every sub-model on the servers of its stage."""
        stages = tuple(
            Stage(server, part)
            for servers, part in zip(layout.layers, layout.parts, strict=True)
            for server in servers
        )
        return cls(stages, layout, plan, thresholds, **rest)

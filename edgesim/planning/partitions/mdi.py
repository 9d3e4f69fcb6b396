"""Blocks divided as in MDI-LLM."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.partition import mdi

__all__ = ["Mdi"]


class Mdi(Partition):
    """Fewer blocks on the starter, as in MDI-LLM, Macario et al. 2025."""

    def cut(self, task: Task) -> Cut:
        """Divide the blocks by the published table, and by its rule where the table has no entry."""
        return Cut.along(mdi(task.n_blocks, len(task.devices)))

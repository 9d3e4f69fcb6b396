"""As MDI-LLM cuts."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.partition import mdi

__all__ = ["Mdi"]


class Mdi(Partition):
    """The starter holds fewer blocks, Macario et al. 2025."""

    def cut(self, task: Task) -> Cut:
        """Share the blocks by the published table, and by its rule beyond it."""
        return Cut.along(mdi(task.n_blocks, len(task.devices)))

"""Blocks divided as evenly as memory allows."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.proportional import proportional

__all__ = ["EvenFit"]


class EvenFit(Partition):
    """Blocks divided as evenly as memory allows."""

    def cut(self, task: Task) -> Cut:
        """Divide the blocks equally, and what does not fit on a device equally among the others."""
        _, most = task.room()
        return Cut.along(proportional(task.n_blocks, [1] * len(most), most))

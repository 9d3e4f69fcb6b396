"""Blocks in proportion to free memory."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.proportional import proportional

__all__ = ["Memory"]


class Memory(Partition):
    """Blocks in proportion to free memory, as in exo."""

    def cut(self, task: Task) -> Cut:
        """Divide the blocks in proportion to the memory left after embedding and head."""
        free, most = task.room()
        return Cut.along(proportional(task.n_blocks, free, most))

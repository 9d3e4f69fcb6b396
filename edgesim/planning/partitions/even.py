"""Equal numbers of blocks."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.partition import even

__all__ = ["Even"]


class Even(Partition):
    """Equal numbers of blocks."""

    def cut(self, task: Task) -> Cut:
        """Divide the blocks equally."""
        return Cut.along(even(task.n_blocks, len(task.devices)))

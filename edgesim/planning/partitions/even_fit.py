"""As even as memory allows."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.proportional import proportional

__all__ = ["EvenFit"]


class EvenFit(Partition):
    """As even as memory allows."""

    def cut(self, task: Task) -> Cut:
        """Share the blocks equally, but for what a device has no room for: the others share that equally."""
        _, most = task.room()
        return Cut.along(proportional(task.n_blocks, [1] * len(most), most))

"""As many blocks for each."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.partition import even

__all__ = ["Even"]


class Even(Partition):
    """As many blocks each."""

    def cut(self, task: Task) -> Cut:
        """Share the blocks equally."""
        return Cut.along(even(task.n_blocks, len(task.devices)))

"""By free memory."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.proportional import proportional

__all__ = ["Memory"]


class Memory(Partition):
    """Blocks in proportion to free memory, as exo deals them out."""

    def cut(self, task: Task) -> Cut:
        """Share the blocks in proportion to the memory that embedding and head leave."""
        free, most = task.room()
        return Cut.along(proportional(task.n_blocks, free, most))

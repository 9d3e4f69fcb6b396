"""A partition: whatever the first devices have room for is theirs."""

from __future__ import annotations

from edgesim import Cut, Partition, PlacementError

__all__ = ["FrontLoaded"]


class FrontLoaded(Partition):
    """Fill one device after the other, in the order of the pipeline."""

    def cut(self, task):
        _, most = task.room()
        counts, left = [], task.n_blocks
        for room in most:
            counts.append(min(room, left))
            left -= counts[-1]
        if left:
            raise PlacementError(
                f"partition front-loaded: {sum(most)} of {task.n_blocks} blocks fit; add a device"
            )
        return Cut.along(counts)

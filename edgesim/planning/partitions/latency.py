"""The chain of least latency."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.latency import latency

__all__ = ["Latency"]


class Latency(Partition):
    """The chain of least latency for one request, Zhang et al. 2024; memory is respected exactly."""

    def cut(self, task: Task) -> Cut:
        """Choose devices, their order and their numbers of blocks."""
        stages = latency(task.latency()).stages
        return Cut(tuple((stage.device, stage.last - stage.first) for stage in stages))

"""The chain of highest throughput."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.throughput import Bottleneck, throughput

__all__ = ["Throughput", "gap_remark"]


class Throughput(Partition):
    """The chain of highest throughput for many requests, Zhang et al. 2024; memory is respected exactly."""

    def cut(self, task: Task) -> Cut:
        """Choose devices, their order and their numbers of blocks; remark on the gap to the optimum."""
        found = throughput(task.throughput(), task.message_s())
        stages = tuple((stage.device, stage.last - stage.first) for stage in found.stages)
        return Cut(stages, gap_remark(found))


def gap_remark(found: Bottleneck) -> str:
    """Return a remark on the gap of a chain that is not proved the best; empty if it is proved."""
    if found.is_proved:
        return ""
    return f"throughput partition: at most {found.gap:.1%} slower than the best chain could be"

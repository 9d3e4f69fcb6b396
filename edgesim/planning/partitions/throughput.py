"""The chain whose slowest part is fastest."""

from __future__ import annotations

from edgesim.planning.cutting import Cut, Partition, Task
from edgesim.planning.throughput import Bottleneck, throughput

__all__ = ["Throughput", "gap_remark"]


class Throughput(Partition):
    """The chain whose slowest part is fastest, for many requests, Zhang et al. 2024; memory is respected."""

    def cut(self, task: Task) -> Cut:
        """Choose devices, their order and their blocks; say how far from the best that may be."""
        found = throughput(task.throughput(), task.message_s())
        stages = tuple((stage.device, stage.last - stage.first) for stage in found.stages)
        return Cut(stages, gap_remark(found))


def gap_remark(found: Bottleneck) -> str:
    """Say what a user should know of a chain that is not proved the best; empty of one that is."""
    if found.is_proved:
        return ""
    return f"throughput partition: at most {found.gap:.1%} slower than the best chain could be"

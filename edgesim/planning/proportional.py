"""Blocks in proportion to free memory, as in exo's default partition, with memory respected exactly."""

from __future__ import annotations

from collections.abc import Sequence

from edgesim.errors import PlacementError

__all__ = ["proportional"]


def proportional(n_blocks: int, free_bytes: Sequence[int], most_blocks: Sequence[int]) -> tuple[int, ...]:
    """Return numbers of blocks in proportion to free memory, as nearly as whole blocks and memory allow.

    exo's default partition (github.com/exo-explore/exo, ``RingMemoryWeightedPartitioningStrategy``) gives
    every device a share of the layers equal to its share of the memory, and rounds the borders down, so a
    device can be given more than it has room for. Here the counts are the nearest to those shares (least sum
    of squares) among all that fit. This separable convex problem is solved exactly by adding one block at a
    time, always to the device furthest below its share that is not yet full (Fox 1966,
    doi:10.1287/mnsc.13.3.210). Ties go to the device named first.

    Parameters
    ----------
    n_blocks
        Blocks to place.
    free_bytes : [n_devices]
        Memory available on each device for blocks and their caches.
    most_blocks : [n_devices]
        Most blocks that each device can hold.

    Returns
    -------
    tuple of int
        Number of blocks of each device; a device with very little memory may get none.

    Raises
    ------
    PlacementError
        If the devices cannot hold all blocks.
    """
    if sum(most_blocks) < n_blocks:
        raise PlacementError(
            f"partition by memory: the {len(most_blocks)} devices have room for {sum(most_blocks)} of the "
            f"{n_blocks} blocks ({', '.join(map(str, most_blocks))}); expected room for all: add devices or "
            "memory, use a smaller dtype, or admit fewer requests at once"
        )
    total_bytes = sum(max(0, n_bytes) for n_bytes in free_bytes)
    counts = [0] * len(most_blocks)
    for _ in range(n_blocks):
        # The deficit n_blocks * free / total - count, multiplied by the total to stay in integers.
        open_ = [device for device, count in enumerate(counts) if count < most_blocks[device]]
        furthest = max(open_, key=lambda d: n_blocks * max(0, free_bytes[d]) - counts[d] * total_bytes)
        counts[furthest] += 1
    return tuple(counts)

"""Check for combinations of serving disciplines that would deadlock along the stages of a placement."""

from __future__ import annotations

from collections.abc import Mapping

from edgesim.errors import PlacementError
from edgesim.model.architecture import Architecture, Slice
from edgesim.world.device import Device

__all__ = ["check_stages"]


def check_stages(
    model: Architecture, devices: Mapping[str, Device], holdings: Mapping[str, tuple[Slice, ...]]
) -> None:
    """Refuse static batches that could deadlock.

    A static batch continues when all its members have arrived. If a request is served by several devices, a
    member may be delayed at another device by a request that waits for this batch to end: in a batch of that
    device, or for memory occupied by a member of the batch.

    Raises
    ------
    PlacementError
        Naming the devices, and disciplines that would work.
    """
    stages = [
        (id_, serving)
        for id_, parts in holdings.items()
        if (serving := devices[id_].serving) is not None and not _is_whole(model, parts)
    ]
    static = [id_ for id_, serving in stages if serving.is_in_lockstep]
    growing = [id_ for id_, serving in stages if serving.grows_caches]
    if len(static) > 1:
        raise PlacementError(
            f"{static[0]!r} and {static[1]!r} are stages of one placement and both form static batches, "
            "whose members would wait for one another indefinitely; serve at most one stage with 'static', "
            "the others with 'continuous', 'processor-sharing' or 'fifo'"
        )
    if static and growing:
        raise PlacementError(
            f"{static[0]!r} serves static batches and {growing[0]!r} preempts requests when caches grow, "
            "and both are stages of one placement: a batch would wait indefinitely for a preempted member; "
            f"give {growing[0]!r} 'continuous: {{cache: reserve}}', or {static[0]!r} another discipline"
        )


def _is_whole(model: Architecture, parts: tuple[Slice, ...]) -> bool:
    blocks = {block for part in parts for block in range(part.first, part.last)}
    has_ends = any(part.embedding for part in parts) and any(part.head for part in parts)
    return has_ends and len(blocks) == model.n_blocks

"""Placement with a movable split: both ends store every block that they may need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesim.errors import PlacementError
from edgesim.model.architecture import Architecture, Slice
from edgesim.strategy import Fleet, Placement, Stage

__all__ = ["Both", "lay_out"]


@dataclass(frozen=True)
class Both(Placement):
    """User devices hold the first blocks, the edge the last; both hold those between the extreme splits.

    Attributes
    ----------
    splits
        Allowed numbers of blocks on the device, increasing.
    edges
        Edge devices. A request goes to the reachable one with the fewest requests.
    remark_text
        Note on the memory that storing blocks twice takes.
    """

    splits: tuple[int, ...] = ()
    edges: tuple[str, ...] = ()
    remark_text: str = ""

    @property
    def remark(self) -> str:
        """Note on the memory that storing blocks twice takes."""
        return self.remark_text


def lay_out(model: Architecture, fleet: Fleet, to: Sequence[str], splits: Sequence[int]) -> Both:
    """Place the blocks on user devices and edges.

    Parameters
    ----------
    splits
        Allowed numbers of blocks on the device. Empty: all from 1 to one less than the model's for which both
        ends have room, including the longest request's KV cache.

    Raises
    ------
    PlacementError
        If a split is out of range, an edge device is a source, or nothing fits.
    """
    edges = fleet.select(to)
    sources = tuple(dict.fromkeys(fleet.sources))
    for edge in edges:
        if edge in sources:
            raise PlacementError(
                f"rl_split: edge device {edge!r} is a source of requests; name another device in 'to'"
            )
        for source in sources:
            fleet.check_reach(source, edge)
            fleet.check_reach(edge, source)
    n_blocks = model.n_blocks
    chosen = tuple(sorted(set(splits)))
    beyond = [split for split in chosen if not 0 <= split <= n_blocks]
    if beyond:
        raise PlacementError(
            f"rl_split: split {beyond[0]}, and {model.name} has {n_blocks} blocks; expected 0 (all at the "
            f"edge) to {n_blocks} (all on the device)"
        )
    if not chosen:
        chosen = _fitting(model, fleet, sources, edges)
    device = _device_part(chosen, n_blocks)
    edge_part = _edge_part(chosen, n_blocks)
    stages = [Stage(source, device) for source in sources if not _is_empty(device)]
    stages += [Stage(edge, edge_part) for edge in edges if not _is_empty(edge_part)]
    n_twice = max(0, device.last - edge_part.first)
    twice_bytes = model.weight_bytes(Slice(edge_part.first, device.last)) if n_twice else 0
    remark = f"splits {chosen[0]} to {chosen[-1]}: {n_twice} of {n_blocks} blocks are stored at both ends "
    remark += f"({twice_bytes / 1e9:.2f} GB more on each device)"
    return Both(tuple(stages), chosen, edges, remark if n_twice else "")


def _device_part(splits: Sequence[int], n_blocks: int) -> Slice:
    most = max(splits)
    return Slice(0, most, embedding=most > 0, head=most == n_blocks)


def _edge_part(splits: Sequence[int], n_blocks: int) -> Slice:
    least = min(splits)
    return Slice(least, n_blocks, embedding=least == 0, head=least < n_blocks)


def _is_empty(part: Slice) -> bool:
    return not (part.n_blocks or part.embedding or part.head)


def _fitting(
    model: Architecture, fleet: Fleet, sources: Sequence[str], edges: Sequence[str]
) -> tuple[int, ...]:
    """Return the splits within the model for which every device and every edge has room."""
    n_blocks = model.n_blocks

    def fits(device: str, part: Slice) -> bool:
        weights_bytes = model.weight_bytes(part)
        has_room = weights_bytes + fleet.kv_bytes(part.n_blocks) <= fleet.room_bytes(device)
        return has_room and weights_bytes <= fleet.weight_room_bytes(device)

    most = next(
        (
            s
            for s in range(n_blocks - 1, 0, -1)
            if all(fits(d, _device_part((s,), n_blocks)) for d in sources)
        ),
        0,
    )
    least = next(
        (s for s in range(1, n_blocks) if all(fits(e, _edge_part((s,), n_blocks)) for e in edges)), n_blocks
    )
    if least > most:
        raise PlacementError(
            f"rl_split: no split of {model.name} fits: user devices have room for {most} blocks, the edge "
            f"for those from {least} on; use a smaller model or dtype, or devices with more memory"
        )
    return tuple(range(least, most + 1))

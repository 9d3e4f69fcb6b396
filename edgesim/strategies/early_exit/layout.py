"""Layout of the strategy: cuts of the model, servers of each stage, and positions of exits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgesim.errors import PlacementError
from edgesim.model.architecture import Architecture, Slice
from edgesim.world.fleet import Fleet

__all__ = ["Layout", "lay_out", "without_head"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Stages of servers after the end devices.

    Attributes
    ----------
    sources
        End devices, at which tasks arise: stage 0.
    layers : [n_stages]
        Servers of each stage, from the first.
    parts : [n_stages]
        Sub-model of each stage; with a head where tasks may leave after it.
    has_exit : [n_stages]
        Whether there is an exit after each stage; always after the last.
    """

    sources: tuple[str, ...]
    layers: tuple[tuple[str, ...], ...]
    parts: tuple[Slice, ...]
    has_exit: tuple[bool, ...]

    @property
    def n_stages(self) -> int:
        """Number of sub-models, H."""
        return len(self.parts)

    @property
    def exit_blocks(self) -> tuple[int, ...]:
        """Numbers of blocks before each inner exit."""
        inner = zip(self.parts[:-1], self.has_exit[:-1], strict=True)
        return tuple(part.last for part, has_exit in inner if has_exit)

    @property
    def shares_devices(self) -> bool:
        """Whether a device serves several stages."""
        servers = [server for layer in self.layers for server in layer]
        return len(set(servers)) < len(servers)


def without_head(part: Slice) -> Slice:
    """Return the same blocks without a head."""
    return Slice(part.first, part.last, part.embedding)


def lay_out(
    model: Architecture,
    fleet: Fleet,
    *,
    stages: Sequence[Sequence[str]],
    cuts: Sequence[int],
    with_exits: bool,
) -> Layout:
    """Cut the model and choose the servers of every stage.

    Parameters
    ----------
    stages
        Devices or groups of each stage. Empty: all devices that compute and are not sources, by group in
        order of speed, the slowest first. With fewer groups than sub-models, every server serves all stages.
    cuts
        Numbers of blocks after which to cut. Empty: after the measured exits, or evenly.
    with_exits
        Whether tokens may leave at measured exits that lie after one of the cuts.
    """
    sources = tuple(dict.fromkeys(fleet.sources))
    inner = fleet.exits.blocks[:-1] if fleet.exits is not None else ()
    groups = () if stages else _groups(fleet)
    n_stages = len(stages) or (len(cuts) + 1 if cuts else len(inner) + 1 if inner else max(1, len(groups)))
    ends = _ends(model, tuple(cuts) or _default_cuts(model.n_blocks, inner, n_stages), n_stages)
    layers = tuple(_chosen(fleet, names, number) for number, names in enumerate(stages, 1))
    layers = layers or _layers(groups, n_stages)
    has_exit = [with_exits and end in inner for end in ends[1:-1]] + [True]
    parts = [
        Slice(first, last, embedding=first == 0, head=leaves)
        for (first, last), leaves in zip(pairwise(ends), has_exit, strict=True)
    ]
    for layer in layers:
        for server in layer:
            for source in sources:
                fleet.check_reach(server, source)
    return Layout(sources, layers, tuple(parts), tuple(has_exit))


def _chosen(fleet: Fleet, names: Sequence[str], number: int) -> tuple[str, ...]:
    """Return the servers of a stage, from the names that a scenario gives."""
    try:
        by_name = [(name, server) for name in names for server in fleet.select([name])]
    except PlacementError as error:
        raise PlacementError(f"stages: stage {number}: {error}") from None
    named: dict[str, str] = {}
    for name, server in by_name:
        if server in named:
            raise PlacementError(
                f"stages: stage {number}: {server!r} is named twice, by {named[server]!r} and by {name!r}; "
                "leave one of them out"
            )
        named[server] = name
    return tuple(named)


def _groups(fleet: Fleet) -> tuple[tuple[str, ...], ...]:
    """Return the groups of servers, the slowest first."""
    servers = [d for d in fleet.devices if d.id not in fleet.sources] or list(fleet.devices)
    by_group: dict[str, list[str]] = {}
    for device in servers:
        by_group.setdefault(device.group, []).append(device.id)
    block = Slice(0, 1)

    def mean_s(members: list[str]) -> float:
        return sum(fleet.request_seconds(member, block) for member in members) / len(members)

    return tuple(map(tuple, sorted(by_group.values(), key=mean_s, reverse=True)))


def _layers(groups: tuple[tuple[str, ...], ...], n_stages: int) -> tuple[tuple[str, ...], ...]:
    """Distribute groups over stages in order; with fewer groups than stages, every server to every stage."""
    if len(groups) < n_stages:
        return (tuple(server for group in groups for server in group),) * n_stages
    bounds = [round(stage * len(groups) / n_stages) for stage in range(n_stages + 1)]
    return tuple(tuple(server for group in groups[a:b] for server in group) for a, b in pairwise(bounds))


def _default_cuts(n_blocks: int, inner: Sequence[int], n_stages: int) -> tuple[int, ...]:
    """Return cuts at exits, as evenly as possible; further cuts halve the longest part."""
    n_cuts = n_stages - 1
    if len(inner) >= n_cuts:
        wanted = [n_blocks * cut / n_stages for cut in range(1, n_stages)]
        left, chosen = list(inner), []
        for number, place in enumerate(wanted):
            usable = left[: len(left) - (n_cuts - number - 1)]  # leave one exit for each remaining cut
            nearest = min(usable, key=lambda block: abs(block - place))
            chosen.append(nearest)
            left = left[left.index(nearest) + 1 :]
        return tuple(chosen)
    ends = [0, *inner, n_blocks]
    while len(ends) < n_stages + 1:
        first, last = max(pairwise(ends), key=lambda run: run[1] - run[0])
        ends = sorted({*ends, (first + last) // 2})
        if last - first < 2:
            break
    return tuple(ends[1:-1])


def _ends(model: Architecture, cuts: tuple[int, ...], n_stages: int) -> list[int]:
    if n_stages > model.n_blocks:
        raise PlacementError(
            f"stages: {n_stages} stages for {model.n_blocks} blocks of {model.name}; expected at least one "
            "block for each: give fewer stages"
        )
    if len(cuts) != n_stages - 1:
        raise PlacementError(
            f"cuts: {list(cuts)} for {n_stages} {'stages' if n_stages > 1 else 'stage'}; expected "
            f"{n_stages - 1}, one between any two stages: give as many, or leave 'cuts' out"
        )
    if list(cuts) != sorted(set(cuts)):
        raise PlacementError(f"cuts: {list(cuts)}; expected increasing numbers of blocks, each once")
    beyond = [cut for cut in cuts if not 1 <= cut < model.n_blocks]
    if beyond:
        raise PlacementError(
            f"cuts: after block {beyond[0]} of {model.n_blocks} of {model.name}; expected 1 to "
            f"{model.n_blocks - 1}, so that each stage has a block"
        )
    return [0, *cuts, model.n_blocks]

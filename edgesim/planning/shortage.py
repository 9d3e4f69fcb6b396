"""Error message for a model that fits on no chain of devices."""

from __future__ import annotations

from edgesim.planning.chain import LatencyProblem
from edgesim.planning.lattice import Lattice

__all__ = ["no_room"]


def no_room(problem: LatencyProblem, partition: str) -> str:
    """Return why no chain fits: the starter is too small, or all devices together are."""
    starters = range(problem.n_devices) if problem.starter is None else [problem.starter]
    ends_bytes = problem.embedding_bytes + (problem.head_bytes if problem.head_at == "starter" else 0)
    least_bytes = ends_bytes + (int(problem.block_bytes[0]) if problem.first_block_at_starter else 0)
    most_bytes = max(int(problem.memory_bytes[starter]) for starter in starters)
    if most_bytes < least_bytes:
        return (
            f"{partition} partition: the starter needs {_gb(least_bytes)} for embedding, head and the "
            f"block that it must hold, and has room for {_gb(most_bytes)}; expected them to fit: choose a "
            "larger starter, or a smaller dtype"
        )
    lattices = [Lattice.of(problem, starter) for starter in starters]
    n_most = max(
        sum(most * len(group) for most, group in zip(lattice.capacity, lattice.members, strict=True))
        for lattice in lattices
    )
    return (
        f"{partition} partition: no chain of devices fits: the model needs {_gb(problem.needed_bytes)}, the "
        f"{problem.n_devices} devices have room for {_gb(int(problem.memory_bytes.sum()))} in all, and in "
        f"whole blocks for at most {n_most} of the {problem.n_blocks}; expected room for every block, on "
        "devices with a route between them: add devices or memory, use a smaller dtype, or admit fewer "
        "requests at once"
    )


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.3g} GB"

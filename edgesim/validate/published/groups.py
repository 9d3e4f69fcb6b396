"""Device groups: fits to one and two nodes, and predictions for four and eight."""

from __future__ import annotations

from functools import cache

from edgesim.validate.published.air_groups import air_group_rows
from edgesim.validate.published.group_row import GroupRow
from edgesim.validate.published.ring_boards import ring_rows
from edgesim.validate.published.star_clusters import star_cluster_rows

__all__ = ["group_rows", "group_table"]


@cache
def group_rows() -> tuple[GroupRow, ...]:
    """Return all rows of AirComp's emulation, distributed-llama's boards and MDI-LLM's ring.

    Takes a few seconds. Draws come from fixed streams, so the rows are the same every time.
    """
    return (*air_group_rows(), *star_cluster_rows(), *ring_rows())


def group_table(testbed: str) -> str:
    """Return one testbed's rows as a Markdown table."""
    rows = [row for row in group_rows() if row.testbed == testbed]
    lines = [
        "| device, model | nodes | published | predicted | 95 % interval | | error | evenly shared "
        "| overheads, ms per token |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        published = "" if row.published is None else f"{row.published:.4g}"
        error = "" if row.error is None else f"{row.error:+.1%}".replace("%", " %")
        lines.append(
            f"| {row.device}, {row.model} | {row.n_nodes} | {published} | {row.predicted:.4g} ({row.role}) | "
            f"{row.low:.4g} to {row.high:.4g} | ± {100 * row.half_width:.0f} % | {error} | {row.ideal:.4g} | "
            f"{row.mechanisms} |"
        )
    return "\n".join(lines)

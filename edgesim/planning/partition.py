"""Numbers of blocks by pipeline stage, from the number of blocks and stages alone.

Where times, links and memories are known, see `edgesim.planning.latency`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from edgesim.errors import PlacementError

__all__ = ["MDI_STARTER_BLOCKS", "MDI_STARTER_LOAD_BLOCKS", "even", "mdi"]

MDI_STARTER_BLOCKS: Mapping[int, Mapping[int, int]] = MappingProxyType(
    {
        5: {2: 2, 3: 1},
        7: {2: 3, 3: 1},
        9: {2: 4, 3: 1},
        12: {2: 5, 3: 2},
        22: {2: 10, 3: 6, 4: 4, 5: 2},
        24: {2: 10, 3: 4},
        32: {2: 14, 3: 8, 4: 5, 5: 4},
        36: {2: 16, 3: 10},
        48: {2: 22, 3: 14},
    }
)
"""Blocks on the starter by number of blocks, then of stages, as in MDI-LLM's `src/sub/config.py`.

Macario et al. 2025 (arXiv 2505.18164). The secondaries share the remaining blocks equally.
"""

MDI_STARTER_LOAD_BLOCKS = 3.5
"""Load of embedding, final norm, head and sampling on the starter, in blocks, for pairs not in the table.

In the table a secondary has between 1 and 6 blocks more than the starter. Of all loads in steps of a quarter
block this one reproduces most entries: 14 of the 22, and 21 within one block (the exception is 24 blocks on
3 stages: 6 on the starter instead of the table's 4).
"""


def even(n_blocks: int, n_stages: int) -> tuple[int, ...]:
    """Divide blocks equally; with a remainder, the first stages hold one more.

    Returns
    -------
    tuple of int
        Number of blocks of each stage, in the order of the pipeline.
    """
    _require_enough(n_blocks, n_stages)
    share, left_over = divmod(n_blocks, n_stages)
    return tuple(share + (stage < left_over) for stage in range(n_stages))


def mdi(n_blocks: int, n_stages: int) -> tuple[int, ...]:
    """Divide blocks as MDI-LLM does: the starter, which also holds embedding and head, takes fewer.

    Pairs in the published table follow it exactly. MDI-LLM's code rejects all others; here they follow the
    rule behind the table: with an extra load of ``w`` blocks on the starter, every stage carries
    ``(n_blocks + w) / n_stages``, so the starter takes ``round((n_blocks + w) / n_stages - w)`` blocks, but
    at least one, and the secondaries share the rest equally to within one block.

    Returns
    -------
    tuple of int
        Number of blocks of each stage: the starter first, then the secondaries in ring order.
    """
    _require_enough(n_blocks, n_stages)
    if n_stages == 1:
        return (n_blocks,)
    starter = MDI_STARTER_BLOCKS.get(n_blocks, {}).get(n_stages)
    if starter is None:
        starter = _starter_by_rule(n_blocks, n_stages)
    return (starter, *even(n_blocks - starter, n_stages - 1))


def _starter_by_rule(n_blocks: int, n_stages: int) -> int:
    balanced = (n_blocks + MDI_STARTER_LOAD_BLOCKS) / n_stages - MDI_STARTER_LOAD_BLOCKS
    # Halves round up, not to even, so that the choice does not alternate with the number of blocks.
    return max(1, math.floor(balanced + 0.5))


def _require_enough(n_blocks: int, n_stages: int) -> None:
    if not 1 <= n_stages <= n_blocks:
        raise PlacementError(
            f"partition: {n_stages} stages for {n_blocks} blocks; expected between 1 and {n_blocks} stages, "
            "each with at least one block: use fewer devices or a deeper model"
        )

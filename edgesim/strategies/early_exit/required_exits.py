"""Check that options on early exits apply: that the layout has exits."""

from __future__ import annotations

from edgesim.errors import PlacementError
from edgesim.strategies.early_exit.layout import Layout
from edgesim.world.fleet import Fleet

__all__ = ["require_exits"]


def require_exits(
    layout: Layout,
    fleet: Fleet,
    *,
    thresholds: str | tuple[float | str, ...],
    exit_rule: str,
    caches: str,
    has_cuts: bool,
) -> None:
    """Raise PlacementError for options on early exits where the layout has no exit.

    Parameters
    ----------
    thresholds, exit_rule, caches
        Options of the strategy.
    has_cuts
        Whether the user gave the layout's cuts.

    Raises
    ------
    PlacementError
        If such an option is given without an exit; the message names the option and the reason.
    """
    if layout.exit_blocks or (fleet.exits is not None and thresholds == "none"):
        return
    wanted = [
        f"{name}: {value}"
        for name, value in (("exit_rule", exit_rule), ("caches", caches))
        if value not in ("confidence", "recompute")
    ]
    if thresholds not in ("auto", "none"):
        wanted.insert(0, "thresholds: " + _text(thresholds))
    if fleet.exits is None and wanted:
        raise PlacementError(
            f"{wanted[0]} is given, but there are no measured answers by which tasks could leave early; add "
            f"'quality: {{model: bundled}}', or leave {wanted[0].partition(':')[0]!r} out"
        )
    if fleet.exits is not None and layout.n_stages > 1 and (wanted or has_cuts):
        cuts = ", ".join(str(part.last) for part in layout.parts[:-1])
        stand = ", ".join(map(str, fleet.exits.blocks[:-1]))
        raise PlacementError(
            f"no exit was measured after any of the cuts ({cuts}); measured exits are after blocks {stand}; "
            "cut there, or set 'thresholds: none'"
        )
    if fleet.exits is not None and wanted:
        raise PlacementError(
            f"{wanted[0]} is given, but one stage has no exit except the model's own head; give more "
            f"stages, or leave {wanted[0].partition(':')[0]!r} out"
        )


def _text(value: object) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)

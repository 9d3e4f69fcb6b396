"""Results as plain values for a file, and as Markdown tables for the documentation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from edgesim.measure.host import host_facts
from edgesim.runner.provenance import versions
from edgesim.validate.local.comparing import FigureComparison
from edgesim.validate.local.running import LOGITS_LIMIT, Plan, SettingResult, ShapeResult

__all__ = ["answers_sentence", "facts", "markdown", "shown"]

_SCALES = {"ttft_s": (1e3, "ms"), "tpot_s": (1e3, "ms"), "tokens_per_s": (1.0, "tokens/s")}
_NAMES = {"ttft_s": "TTFT", "tpot_s": "TPOT", "tokens_per_s": "rate"}


def facts(results: Sequence[ShapeResult], plan: Plan) -> dict[str, Any]:
    """Return all results with the machine, the date, the versions and the plan."""
    return {
        "what": "edgesim validate local",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": dict(host_facts()),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "versions": versions(),
        "plan": asdict(plan),
        "models": [_of_shape(result) for result in results],
    }


def _of_shape(result: ShapeResult) -> dict[str, Any]:
    shape = result.shape
    return {
        "name": shape.name,
        "about": shape.about,
        "config": dict(shape.config),
        "n_parameters": shape.architecture.n_parameters,
        "weights": "trained" if shape.seed is None else f"random, seed {shape.seed}",
        "has_equal_ids": result.has_equal_ids,
        "logits_error": result.logits_error,
        "other_load_cores": result.other_load_cores,
        "communications": [each.facts() for each in result.communications],
        "rest_losses": [asdict(each) for each in result.losses],
        "group_times": [asdict(each) for each in result.groups],
        "profiles": result.profiles,
        "settings": [
            {
                "name": one.setting.name,
                **asdict(one.setting),
                "limit": one.setting.limit,
                "figures": [
                    {
                        "figure": each.figure,
                        "real": list(each.real),
                        "predicted": list(each.predicted),
                        "errors": list(each.errors),
                        "median_error": each.median,
                        "spread": each.spread,
                        "verdict": each.verdict,
                    }
                    for each in one.comparisons
                ],
            }
            for one in result.settings
        ],
    }


def shown(comparison: FigureComparison) -> tuple[str, str, str, str]:
    """Return a metric's name, its measured and predicted medians, and its error with the spread."""
    scale, unit = _SCALES.get(comparison.figure, (100.0, "%"))
    real, foreseen = (
        f"{scale * sorted(each)[len(each) // 2]:.4g} {unit}"
        for each in (comparison.real, comparison.predicted)
    )
    name = _NAMES.get(comparison.figure, comparison.figure)
    error, spread = 100.0 * comparison.median, 100.0 * comparison.spread
    points = " points" if comparison.is_share else " %"
    return name, real, foreseen, f"{error:+.1f} ± {spread:.1f}{points}"


def markdown(results: Sequence[ShapeResult]) -> str:
    """Return one table per model, for a page of the documentation."""
    parts = []
    for result in results:
        shape = result.shape
        parts.append(
            f"**{shape.name}** ({shape.architecture.n_parameters / 1e6:.0f} M parameters; {shape.about}). "
            + answers_sentence(result)
            + "\n\n| setting | figure | measured | predicted | error | |\n|---|---|---|---|---|---|\n"
            + "".join(_rows(each) for each in result.settings)
        )
    return "\n".join(parts)


def answers_sentence(result: ShapeResult) -> str:
    """Return a sentence that says whether all processes computed the same model."""
    ids = "All processes emitted the same tokens" if result.has_equal_ids else "Tokens DIFFER between runs"
    ids += f"; other programs kept {result.other_load_cores:.2g} cores busy"
    if not result.communications:
        return f"{ids}."
    within = "within" if result.logits_error <= LOGITS_LIMIT else "NOT within"
    return f"{ids}; sharded logits differ by {result.logits_error:.1e} ({within} {LOGITS_LIMIT:g})."


def _rows(result: SettingResult) -> str:
    return "".join(
        f"| {result.setting.name} | {' | '.join(shown(each))} | {each.verdict} |\n"
        for each in result.comparisons
    )

"""A small model and a profile of it with round times, for predictions of local runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from edgesim.model.architecture import Component
from edgesim.model.ceilings import Ceilings
from edgesim.model.profile import Phase, Point, Profile
from edgesim.validate.local.shapes import ModelShape, shape_named

SHAPE = shape_named("tiny-gpt2")  # 3 blocks of 64

# Milliseconds of a component in a prefill of 16 tokens and in a decoding step.
MS = {
    Component.EMBEDDING: (0.5, 0.1),
    Component.ATTENTION: (8.0, 1.0),
    Component.MLP: (12.0, 3.0),
    Component.BLOCK: (20.0, 4.0),
    Component.HEAD: (3.0, 2.0),
    Component.STEP: (9.0, 9.0),  # of `generate`
}


def profile(shape: ModelShape, last: int = 21) -> Profile:
    """Return a profile of prompts of up to 16 tokens, and of contexts of 16 to `last` tokens."""
    calls = [
        (Phase.PREFILL, 0, 8, 0),
        (Phase.PREFILL, 0, 16, 0),
        (Phase.DECODE, 1, 1, 16),
        (Phase.DECODE, 1, 1, last),
    ]
    points = [
        Point(
            component=component,
            phase=phase,
            batch=1,
            n_new=n_new,
            n_context=n_context,
            median_s=MS[component][column] * 1e-3,
            spread_s=0.0,
            n_repeats=1,
        )
        for component, (phase, column, n_new, n_context) in product(Component, calls)
    ]
    held_out = [
        replace(point, n_context=18, held_out=True, predicted_s=1.1 * point.median_s)
        for point in points
        if point.n_context == 16
    ]
    return Profile(
        architecture=shape.architecture,
        device="cpu",
        threads=1,
        ceilings=Ceilings(flop_per_s=1e11, bytes_per_s=1e10, overhead_s=1e-5),
        host={"cpu": "none"},
        versions={},
        measured_at="2026-01-01T00:00:00+00:00",
        grid={},
        points=(*points, *held_out),
    )

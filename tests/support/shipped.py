"""The shipped scenarios, as tests that go through all of them run them."""

from __future__ import annotations

from effort import sized

__all__ = ["only"]

_FEW = {
    "dto_ee": ("dto-ee", "cf-fixed", "jsed", "backpressure"),
    "dto_ee_dynamic": ("dto-ee", "jsed"),
}
"""Where many strategies differ in their plans alone, one of each kind: planning takes half a minute."""


def only(name: str) -> tuple[str, ...]:
    """Return the labels of a scenario's strategies to run; all if empty."""
    return sized(_FEW.get(name, ()), ())

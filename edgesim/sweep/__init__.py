"""Many runs of one scenario over values of what it says: grids, capacities, replications as needed."""

from __future__ import annotations

__all__: list[str] = []

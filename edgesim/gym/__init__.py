"""Learning to decide: environments for reinforcement learning, and training on them.

Needs the extra ``edgesim[rl]``.
"""

from __future__ import annotations

__all__: list[str] = []

"""Why results are as they are: where time went, what bounds a strategy, and which change would help.

Built on traces alone, but for the advice, which runs the scenario again.
"""

from __future__ import annotations

__all__: list[str] = []

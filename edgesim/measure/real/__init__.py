"""Models at work as separate processes of this host: what predictions of groups are held against.

Processes are started by :mod:`edgesim.measure.real.crew`, which does not import torch; what they do is in
:mod:`edgesim.measure.real.worker` and below.
"""

from __future__ import annotations

__all__: list[str] = []

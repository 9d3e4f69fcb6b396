"""Real models run in separate processes of this host, as references for predictions of device groups.

Processes are started by :mod:`edgesim.measure.real.worker_pool`, which does not import torch; they execute
:mod:`edgesim.measure.real.worker` and the modules that it imports.
"""

from __future__ import annotations

__all__: list[str] = []

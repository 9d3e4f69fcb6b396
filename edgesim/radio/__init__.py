"""The radio channel and link adaptation: values and pure functions of time, without a clock.

Propagation and fading give a power gain at an instant. Link adaptation turns a
signal-to-interference-and-noise ratio into a rate and a block error probability. Access rules divide the
band among those that send.
"""

from __future__ import annotations

__all__: list[str] = []

"""The radio channel and what a link makes of it: values and pure functions, no clock.

Propagation and fading give a gain at an instant; link adaptation turns a ratio of signal to interference
and noise into a rate and a block error probability; access rules say who gets which share.
"""

from __future__ import annotations

__all__: list[str] = []

"""A trace or a sweep as one HTML page that needs no network: figures, tables, and where they come from.

Python gathers numbers (a module per figure) and writes them into the page as JSON; a script of its own draws
them as SVG at the width at hand, and saves them. Names in a trace are a stranger's: the template escapes
them, the script writes them as text only, and the page's policy lets nothing else run.
"""

from __future__ import annotations

__all__: list[str] = []

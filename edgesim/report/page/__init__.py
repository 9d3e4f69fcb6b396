"""Self-contained HTML page of a trace or a sweep, with figures, tables and provenance.

Python computes the numbers (one module per figure) and embeds them in the page as JSON; the page's script
draws them as SVG at the available width, and saves them. Names in a trace are untrusted: the template escapes
them, the script inserts them as text only, and the page's Content Security Policy blocks other scripts.
"""

from __future__ import annotations

__all__: list[str] = []

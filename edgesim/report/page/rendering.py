"""Rendering of a page to one HTML file, which loads nothing and runs no script except its own."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from edgesim.report.page.comparing import Card, Table
from edgesim.report.page.figure import Section
from edgesim.report.page.origin import Origin
from edgesim.report.plots.provenance import Provenance

__all__ = ["Page", "embedded", "made_by", "render"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The parts of a page.

    Attributes
    ----------
    title, lead
        The scenario's name, and a sentence below it.
    kicker
        Short line above the title.
    facts
        Names and values for the line below the title.
    warnings
        Sentences shown before all numbers.
    cards
        Findings in short form.
    tables
        Titles, notes and tables of the comparison, the first of which is always open.
    sections
        Figures under headings.
    origin, made_by
        Provenance of the numbers, and a sentence with its summary.
    is_figures_first
        Whether the figures precede the tables.
    """

    title: str
    lead: str
    kicker: str
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    cards: Sequence[Card]
    tables: Sequence[tuple[str, str, Table]]
    sections: Sequence[Section]
    origin: Origin
    made_by: str
    is_figures_first: bool = False


def render(page: Page) -> str:
    """Return the page as HTML."""
    assets = files("edgesim.report.page") / "assets"
    style, script, template = (
        (assets / name).read_text(encoding="utf-8") for name in ("page.css", "page.js", "page.html.j2")
    )
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    content = {
        "title": page.title,
        "figures": {
            figure.name: {"kind": figure.kind, "title": figure.title, **figure.content}
            for section in page.sections
            for figure in section.figures
        },
        "source": page.made_by,
    }
    return environment.from_string(template).render(
        page=page,
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src blob: "
        "data:; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # the package's own file
        script=Markup(script),  # the package's own file
        content=embedded(content),
    )


def _hash(text: str) -> str:
    """Hash source by which a policy allows an inline style or script (CSP Level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def embedded(content: object) -> Markup:
    """Write JSON with ``<``, ``>`` and ``&`` escaped, so that no text can end the enclosing element."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # no markup is left in it


def made_by(path: Path, record: Mapping[str, object]) -> str:
    """Summarise a page's provenance in a sentence, for its footer and the files of its figures."""
    return Provenance.of([(path, record)]).sentence()

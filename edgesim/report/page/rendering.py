"""From a page's parts to one HTML file: nothing in it is fetched, and nothing but its own script runs."""

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
    """What a page is made of.

    Attributes
    ----------
    title, lead
        The scenario's name, and a sentence below it.
    facts
        Names and values for the line under the title.
    warnings
        Sentences that stand before all numbers.
    tables
        Titles, notes and tables of the comparison, the first of which is always open.
    sections
        Figures under headings.
    is_figures_first
        Whether they stand before the tables.
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
    """What a policy names an inline style or script by (CSP Level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def embedded(content: object) -> Markup:
    """Write JSON that cannot end the element it stands in, whatever its texts hold."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # no markup is left in it


def made_by(path: Path, record: Mapping[str, object]) -> str:
    """Say in a sentence what a page was made from, for its foot and the files of its figures."""
    return Provenance.of([(path, record)]).sentence()

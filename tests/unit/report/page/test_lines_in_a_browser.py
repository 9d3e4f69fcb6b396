"""Lines as the page's script draws and reads them: nothing is stated that was not measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, chromium

from edgesim.report.page.figure import Figure, Section
from edgesim.report.page.origin import Origin
from edgesim.report.page.rendering import Page, render

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]

BROKEN = {
    "name": "local",
    "at": 0,
    "x": [1, 2, 3, 4],
    "y": [10, None, 30, None],
    "low": [9, None, 29, None],
    "high": [11, None, 31, None],
}
WHOLE = {
    "name": "offload",
    "at": 1,
    "x": [1, 2, 3, 4],
    "y": [5, 6, 7, 8],
    "low": [4, 5, 6, 7],
    "high": [6, 7, 8, 9],
}
SPARSE = {"name": "sparse", "at": 2, "x": [1, 4], "y": [1, 2], "low": [1, 1], "high": [2, 3]}
STEPS = [
    {"name": "done", "at": 0, "x": [1, 1, 2], "y": [0, 0.5, 1]},
    {"name": "cut", "at": 1, "x": [1, 1, 3], "y": [0, 0.4, 0.4]},
    {"name": "late", "at": 2, "x": [4, 4, 5], "y": [0, 0.5, 1]},
]


def a_page(views: list[dict[str, Any]], file: Path) -> Path:
    figures = tuple(
        Figure(name=f"f{at}", kind="lines", title="Lines", note="", content={"views": [view]})
        for at, view in enumerate(views)
    )
    sections = [Section(name="lines", title="Lines", figures=figures)]
    page = Page(
        title="t",
        lead="",
        kicker="",
        facts=[],
        warnings=[],
        cards=[],
        tables=[],
        sections=sections,
        origin=Origin([], []),
        made_by="",
    )
    file.write_text(render(page), encoding="utf-8")
    return file


def view(series: list[dict[str, Any]], *, step: bool, y: dict[str, Any]) -> dict[str, Any]:
    return {"label": "v", "x": {"label": "x", "log": False}, "y": y, "step": step, "series": series}


def readings(browser: Browser, figure: str, n: int) -> list[dict[str, str]]:
    """What the tip says at each stop, by series, reached with the arrow keys."""
    script = f"""(() => {{
      const plot = document.querySelector('figure[data-figure="{figure}"] .plot'), found = [];
      for (let k = 0; k < {n}; k += 1) {{
        plot.dispatchEvent(new KeyboardEvent("keydown", {{ key: "ArrowRight" }}));
        const rows = [...plot.querySelectorAll(".tip tr")].map((row) => [...row.cells]);
        found.push(Object.fromEntries(rows.map((cells) => cells.map((cell) => cell.textContent))));
      }}
      return JSON.stringify(found);
    }})()"""
    told: list[dict[str, str]] = json.loads(browser.evaluate(script))
    return told


def test_lines_break_where_unknown_and_tips_state_what_was_measured(tmp_path: Path) -> None:
    page = a_page(
        [
            view([BROKEN, WHOLE, SPARSE], step=False, y={"label": "y", "low": 0}),
            view(STEPS, step=True, y={"label": "share", "low": 0, "high": 1}),
        ],
        tmp_path / "page.html",
    )
    with Browser(tmp_path) as browser:
        browser.open(page)
        tips = readings(browser, "f0", 4)
        assert [tip["local"] for tip in tips] == ["10 [9, 11]", "–", "30 [29, 31]", "–"]
        assert [tip["sparse"] for tip in tips] == ["1 [1, 2]", "–", "–", "2 [1, 3]"]
        of = "document.querySelector('figure[data-figure=f0] .plot > svg')"
        path = browser.evaluate(f"{of}.querySelector('path.line.s0').getAttribute('d')")
        assert (path.count("M"), path.count("L")) == (2, 0)  # two lone points
        assert browser.evaluate(f"{of}.querySelectorAll('line.lone.s0').length") == 2
        assert browser.evaluate(f"{of}.querySelectorAll('path.band.s0').length") == 0
        assert browser.evaluate(f"{of}.querySelectorAll('path.band.s1').length") == 1
        places = [
            float(browser.evaluate(f"{of}.querySelector('text.end.{name}').getAttribute('x')"))
            for name in ("s0", "s1", "s2")
        ]
        assert places[1] == places[2] > places[0]  # local ends before the edge, and its label stands there

        steps = readings(browser, "f1", 5)
        assert [tip["done"] for tip in steps] == ["0.5", "1", "1", "1", "1"]
        assert [tip["cut"] for tip in steps] == ["0.4", "0.4", "0.4", "–", "–"]
        assert [tip["late"] for tip in steps] == ["0", "0", "0", "0.5", "1"]
        assert browser.evaluate("document.documentElement.dataset.errors") is None

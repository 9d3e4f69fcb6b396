from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import Browser, chromium
from hostile import TINY, hostile_trace

WITHOUT = chromium() is None


def test_a_trace_becomes_one_file_named_after_its_folder(edgesim, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = edgesim("report", TINY)
    assert said.status == 0, said.err
    assert [file.name for file in tmp_path.iterdir()] == ["tiny.html"]
    assert "first-steps" in (tmp_path / "tiny.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_sweep_becomes_one_too(edgesim, tmp_path: Path) -> None:
    swept = tmp_path / "rates"
    rates = "workload.arrivals.poisson=1 Hz,4 Hz"
    settings = ("--set", rates, "--set", "profile=analytic", "--set", "horizon=4 s", "--replications", 2)
    assert edgesim("sweep", "first_steps", *settings, "--out", swept, "--quiet").status == 0
    said = edgesim("report", swept, "-o", tmp_path / "rates.html")
    assert said.status == 0, said.err
    page = (tmp_path / "rates.html").read_text(encoding="utf-8")
    assert "Sweep report" in page
    assert "poisson [Hz]" in page


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere",), "nowhere"),
        ((TINY, "-o", "page.pdf"), "ends in .html"),
        ((TINY, "-o", "folder.html"), "is a folder"),
        ((TINY, "-o", "file/page.html"), "cannot be written"),
        (("empty",), "neither a trace nor a sweep"),
        (("broken",), "not valid JSON"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    edgesim, tmp_path: Path, monkeypatch, words: tuple[object, ...], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("folder.html", "empty", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "broken" / "run.json").write_text("{")
    said = edgesim("report", *words)
    assert said.status == 2
    assert expected in " ".join(said.err.split())
    assert "Traceback" not in said.err


@pytest.mark.slow
@pytest.mark.skipif(WITHOUT, reason="no Chromium on this machine (Debian: apt install chromium)")
def test_a_browser_shows_saves_and_prints_it_without_an_error(edgesim, tmp_path: Path) -> None:
    from matplotlib.image import imread

    page = tmp_path / "page.html"
    # The names of this one are markup: were any of it to run, the page would ask for a file, and say so.
    assert edgesim("report", hostile_trace(tmp_path), "-o", page).status == 0
    with Browser(tmp_path) as browser:
        browser.open(page)
        n_figures = browser.evaluate("document.querySelectorAll('figure[data-figure]').length")
        assert n_figures >= 7
        assert browser.evaluate("document.documentElement.dataset.drawn") == str(n_figures)
        drawn = (
            "[...document.querySelectorAll('.plot > svg')].filter((svg) => svg.children.length > 2).length"
        )
        assert browser.evaluate(drawn) == n_figures
        assert browser.evaluate("document.querySelectorAll('img, script[src], [onerror]').length") == 0

        for width in (360, 800, 1600):  # nothing is wider than the page
            browser.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=900,
                deviceScaleFactor=1,
                mobile=False,
            )
            assert (
                browser.evaluate(
                    "new Promise((done) => setTimeout(() => done(document.documentElement.scrollWidth), 200))"
                )
                == width
            )
            assert browser.evaluate(drawn) == n_figures

        brightness = {}
        for scheme in ("light", "dark"):
            browser.media(scheme=scheme)
            browser.screenshot(tmp_path / f"{scheme}.png")
            brightness[scheme] = float(imread(tmp_path / f"{scheme}.png")[..., :3].mean())
        assert brightness["light"] > 0.8
        assert brightness["dark"] < 0.25
        browser.evaluate("document.getElementById('theme').click()")  # from the reader's dark to light
        browser.screenshot(tmp_path / "chosen.png")
        assert float(imread(tmp_path / "chosen.png")[..., :3].mean()) > 0.8

        press = "#figure-latencies button[aria-label$='as {}']"
        assert browser.download(press.format("CSV"), "latencies.csv").startswith(b"series,seconds,")
        saved = browser.download(press.format("SVG"), "latencies.svg").decode()
        assert saved.startswith("<svg")
        assert "var(" not in saved  # it needs no style sheet
        assert "Drawn by edgesim" in saved
        assert browser.download(press.format("PNG"), "latencies.png").startswith(b"\x89PNG")

        first = "document.querySelector('table.sortable tbody').rows[0].cells[0].textContent"
        browser.evaluate("document.querySelector('table.sortable thead button').click()")
        ascending = browser.evaluate(first)
        browser.evaluate("document.querySelector('table.sortable thead button').click()")
        assert browser.evaluate(first) > ascending

        printed = browser.pdf()
        assert printed.startswith(b"%PDF")
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 2
        assert browser.evaluate("document.documentElement.dataset.errors") is None
        assert browser.problems == []

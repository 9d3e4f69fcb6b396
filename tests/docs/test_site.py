"""The site needs no network, and no page of it is cut off or silent in a browser; looked at in Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (400, 800, 1400)  # pixels: a telephone, a tablet, a desktop
PAGES = ("index", "reference/catalogue", "reference/cli", "reference/scenario", "how-to/write-a-strategy")

pytestmark = pytest.mark.slow

# Reports what is wider than the window, and tables whose frame hides a part of them.
MEASURE = """
<script>
addEventListener("load", () => setTimeout(() => {
  const cut = [...document.querySelectorAll("article table")].filter(
    (table) => table.scrollWidth > table.parentElement.clientWidth + 1);
  const told = `${document.documentElement.scrollWidth > innerWidth + 1} ${cut.length}`;
  document.documentElement.setAttribute("data-measured", told);
}, 500));
</script>
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, which CI has built just before."""
    if built := os.environ.get("EDGESIM_SITE"):
        return Path(built)
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def chromium() -> str:
    if CHROMIUM is None:
        pytest.skip("no Chromium here (apt-get install chromium)")
    return CHROMIUM


def seen(chromium: str, url: str, width: int, folder: Path) -> str:
    """Return the page as it stands in a browser after a few seconds of its own clock."""
    words = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}",
        f"--window-size={width},1000", "--virtual-time-budget=8000", "--dump-dom", url,
    ]  # fmt: skip
    return subprocess.run(words, capture_output=True, text=True, timeout=180, check=True).stdout


def test_no_page_fetches_anything_from_the_network(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    fetched = re.compile(r"""<(?:script|img|iframe)[^>]*\ssrc=["']?https?:|<link[^>]*href=["']?https?:""")
    assert [str(page.relative_to(site)) for page in pages if fetched.search(page.read_text("utf-8"))] == []
    for style in site.rglob("*.css"):
        assert not re.search(r"""url\(["']?https?:""", style.read_text("utf-8")), style.name


def test_light_dark_search_and_copy_buttons_are_there(site: Path) -> None:
    page = (site / "tutorial" / "first-run.html").read_text("utf-8")
    assert 'data-md-color-scheme="slate"' in page
    assert 'data-md-color-scheme="default"' in page
    assert "content.code.copy" in page
    assert (site / "search" / "search_index.js").stat().st_size > 100_000


@pytest.mark.parametrize("width", WIDTHS)
def test_no_table_is_cut_off_at_any_width(site: Path, chromium: str, tmp_path: Path, width: int) -> None:
    for name in PAGES:
        page = site / f"{name}.html"
        measured = page.with_name(f"measured-{page.name}")
        measured.write_text(page.read_text("utf-8").replace("</head>", MEASURE + "</head>"), "utf-8")
        shown = seen(chromium, measured.as_uri(), width, tmp_path)
        found = re.search(r'data-measured="(\w+) (\d+)"', shown)
        assert found, name
        assert (found[1], found[2]) == ("false", "0"), f"{name} at {width} pixels"


def test_the_search_finds_from_the_file_system(site: Path, chromium: str, tmp_path: Path) -> None:
    shown = seen(chromium, f"{(site / 'index.html').as_uri()}?q=pipeline", 1400, tmp_path)
    assert shown.count("md-search-result__link") >= 3
    assert "how-to/write-a-strategy.html" in shown.partition("md-search-result__list")[2]

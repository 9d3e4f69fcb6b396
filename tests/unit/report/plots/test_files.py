"""Files of figures: the same bytes each time, provenance within, fonts that journals take, and looks."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from edgesim.errors import InputError
from edgesim.report.listings.listing import of_traces
from edgesim.report.plots.bars import bars
from edgesim.report.plots.figure_request import KINDS, FigureRequest, drawn
from edgesim.report.plots.provenance import Provenance
from edgesim.report.plots.saving import save
from edgesim.report.plots.style import WIDTHS_IN, looks, paper_style, subplots
from edgesim.trace.reader import Trace


@pytest.mark.parametrize("suffix", ["pdf", "svg", "png"])
def test_the_same_figure_has_the_same_bytes_and_says_where_it_comes_from(
    trace: Trace, tmp_path: Path, suffix: str
) -> None:
    source = Provenance.of([(trace.path, trace.run)])
    files = [
        save(bars(of_traces({"street": trace})), tmp_path / f"{place}.{suffix}", source) for place in "ab"
    ]
    first, second = (file.read_bytes() for file in files)
    assert first == second
    digest = str(trace.run["scenario"]["digest"])  # type: ignore[index]
    if suffix == "png":
        from PIL import Image

        with Image.open(files[0]) as picture:
            picture.load()
            assert digest[:16] in picture.info["Description"]
            assert "small-street" in picture.info["Source"]
            assert picture.size[0] == pytest.approx(300 * WIDTHS_IN["column"], abs=1)
    elif suffix == "svg":
        text = first.decode()
        assert digest[:16] in text
        assert "<dc:date>" not in text
    else:
        assert b"/Type3" not in first  # fonts as TrueType, type 42
        assert b"CIDFontType2" in first
        assert b"CreationDate" not in first
        assert digest[:16].encode() in first


def test_a_file_that_cannot_be_written_is_said(trace: Trace, tmp_path: Path) -> None:
    with paper_style():
        figure, _ = subplots(1, 1, width="column")
    with pytest.raises(InputError, match=r"ends in \.gif; expected \.pdf, \.svg or \.png"):
        save(figure, tmp_path / "a.gif")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        save(figure, tmp_path / "folder.png")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        save(figure, tmp_path / "file" / "a.png")


def test_looks_differ_in_line_or_colour_and_the_first_in_lightness() -> None:
    found = looks([str(place) for place in range(40)])
    assert len({(one.colour, str(one.dashes), one.marker) for one in found.values()}) == 40
    assert len({(str(one.dashes), one.marker) for one in list(found.values())[:35]}) == 35  # in grey alone
    lightness = []
    for one in list(found.values())[:4]:
        rgb = np.array([int(one.colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
        y = float(linear @ [0.2126, 0.7152, 0.0722])
        lightness.append(116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y)  # CIE L*
    assert np.diff(sorted(lightness)).min() > 15


def test_lines_that_coincide_are_both_seen() -> None:
    from matplotlib.colors import to_rgb

    with paper_style():
        figure, (panel,) = subplots(1, 1, width="column")
        panel.set_axis_off()
        known = looks(["a", "b", "c"])
        for one in known.values():
            panel.plot([0, 1], [0, 1], **one.line(marker=""))
        picture = io.BytesIO()
        figure.savefig(picture, format="rgba", dpi=200)
    pixels = np.frombuffer(picture.getvalue(), np.uint8).reshape(-1, 4)[:, :3] / 255
    for one in known.values():
        near = np.abs(pixels - to_rgb(one.colour)).max(axis=1) < 0.05
        assert near.sum() > 60, one


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lines"])
def test_every_kind_draws_text_within_the_figure(trace: Trace, kind: str) -> None:
    for width in WIDTHS_IN:
        figure = drawn({"street": trace}, FigureRequest(kind=kind, width=width))
        assert figure.get_figwidth() == WIDTHS_IN[width]
        figure.draw_without_rendering()
        inside = figure.bbox.padded(1.0)
        for panel in figure.axes:
            if panel.axison:
                for label in (panel.xaxis.label, panel.yaxis.label, *panel.get_yticklabels()):
                    box = label.get_window_extent()
                    assert not label.get_text() or inside.x0 <= box.x0 <= box.x1 <= inside.x1, label
        assert not any("small-" in text.get_text() for text in figure.texts)  # provenance is in the metadata


def test_options_of_other_kinds_are_refused(trace: Trace) -> None:
    with pytest.raises(InputError, match="--request: bars has no such option; it belongs to timeline"):
        drawn({"street": trace}, FigureRequest(kind="bars", request=1))
    with pytest.raises(InputError, match="no kind 'pie'"):
        drawn({"street": trace}, FigureRequest(kind="pie"))
    with pytest.raises(InputError, match="a map shows one trace"):
        drawn({"street": trace, "other": trace}, FigureRequest(kind="map"))
    with pytest.raises(InputError, match="there is no distribution of 'e3e'; did you mean 'e2e'"):
        drawn({"street": trace}, FigureRequest(kind="distribution", metrics=("e3e",)))
    with pytest.raises(InputError, match="has no request 999"):
        drawn({"street": trace}, FigureRequest(kind="timeline", request=999))
    with pytest.raises(InputError, match="expected both, or neither"):
        drawn({"street": trace}, FigureRequest(kind="timeline", from_s=1.0))

"""Kept profiles: found without torch, replaced when broken, never mistaken for another's."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small_models import GPT2, LLAMA, handmade_profile

from edgesim.measure import cache
from edgesim.measure.grid import Grid
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Profile

GRID = Grid.covering(64, 64)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def llama() -> Architecture:
    return Architecture.from_config(LLAMA, name="small-llama", dtype="bfloat16")


def keep(llama: Architecture) -> Path:
    path = cache.profile_path(llama, threads=2, device="cpu", grid=GRID)
    path.parent.mkdir(parents=True)
    handmade_profile(llama).save(path)
    return path


def test_a_kept_profile_is_returned(llama: Architecture, folder: Path) -> None:
    assert keep(llama).is_relative_to(folder)
    assert cache.ensure_profile(llama, threads=2, grid=GRID) == handmade_profile(llama)


def test_a_kept_profile_is_found_without_importing_torch(llama: Architecture) -> None:
    keep(llama)
    program = (
        "import sys\n"
        "from edgesim.measure.cache import ensure_profile\n"
        "from edgesim.measure.grid import Grid\n"
        "from edgesim.model.architecture import Architecture\n"
        f"model = Architecture.from_config({LLAMA!r}, name='small-llama', dtype='bfloat16')\n"
        "ensure_profile(model, threads=2, grid=Grid.covering(64, 64))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_everything_that_determines_the_times_changes_the_path(
    llama: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpt2 = Architecture.from_config(GPT2, name="small-llama", dtype="bfloat16")
    conditions = {"threads": 2, "device": "cpu", "grid": GRID}
    paths = [
        cache.profile_path(llama, **conditions),
        cache.profile_path(gpt2, **conditions),
        cache.profile_path(
            Architecture.from_config(LLAMA, name="small-llama", dtype="float32"), **conditions
        ),
        cache.profile_path(llama, **conditions | {"threads": 1}),
        cache.profile_path(llama, **conditions | {"device": "cuda"}),
        cache.profile_path(llama, **conditions | {"grid": Grid.covering(65, 64)}),
    ]
    for name, other in (
        ("host_identity", lambda _: "another machine"),
        ("software_versions", lambda: {"torch": "0.1"}),
        ("SCHEMA_VERSION", 99),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(cache, name, other)
            paths.append(cache.profile_path(llama, **conditions))

    assert len(set(paths)) == len(paths)
    assert cache.profile_path(llama, **conditions) == paths[0]


def test_a_broken_file_is_measured_again_with_a_note(
    llama: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from edgesim.measure import timing

    fresh = replace(handmade_profile(llama), threads=5)
    monkeypatch.setattr(timing, "measure_profile", lambda *_, **__: fresh)
    path = keep(llama)
    path.write_bytes(b"half of a file")
    notes: list[str] = []

    got = cache.ensure_profile(
        llama, threads=2, grid=GRID, progress=lambda _done_s, _total_s, what: notes.append(what)
    )
    assert got == fresh
    assert notes[0].startswith("measuring again:")
    assert cache.cached_profile(path) == fresh
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_refresh_measures_although_one_is_kept(llama: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from edgesim.measure import timing

    fresh = replace(handmade_profile(llama), threads=5)
    monkeypatch.setattr(timing, "measure_profile", lambda *_, **__: fresh)
    keep(llama)

    assert cache.ensure_profile(llama, threads=2, grid=GRID, refresh=True) == fresh


def missing(profile: Profile, factor: float) -> Profile:
    """The same, with held-out points predicted so many times too long."""
    points = [
        point if point.predicted_s is None else replace(point, predicted_s=factor * point.median_s)
        for point in profile.points
    ]
    return replace(profile, points=tuple(points))


@pytest.mark.parametrize(("second", "kept"), [(1.2, 1.2), (2.5, 2.5), (9.0, 3.0)])
def test_a_measurement_that_says_nothing_is_made_once_more_and_the_better_one_is_kept(
    llama: Architecture, monkeypatch: pytest.MonkeyPatch, second: float, kept: float
) -> None:
    pytest.importorskip("torch")
    from edgesim.measure import timing

    coming = [missing(handmade_profile(llama), 3.0), missing(handmade_profile(llama), second)]
    monkeypatch.setattr(timing, "measure_profile", lambda *_, **__: coming.pop(0))
    notes: list[str] = []
    got = cache.ensure_profile(llama, threads=2, grid=GRID, progress=lambda *words: notes.append(words[-1]))
    assert got == missing(handmade_profile(llama), kept)
    assert coming == []
    assert notes == ["measuring once more: held-out points were missed by up to 200%, as on a busy machine"]


def test_a_kept_profile_that_says_nothing_is_measured_again_unless_it_is_forced(
    llama: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from edgesim.measure import timing

    useless, fresh = missing(handmade_profile(llama), 3.0), handmade_profile(llama)
    path = keep(llama)
    useless.save(path)
    monkeypatch.setattr(timing, "measure_profile", lambda *_, **__: fresh)
    assert cache.ensure_profile(llama, threads=2, grid=GRID, force=True) == useless
    assert cache.ensure_profile(llama, threads=2, grid=GRID) == fresh == cache.cached_profile(path)

"""Profiles that were damaged or made up: each is refused in a sentence that names the point or condition."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from small_models import LLAMA, handmade_profile

from edgesim.errors import ProfileError
from edgesim.measure import cache
from edgesim.measure.grid import Grid
from edgesim.model.architecture import Architecture
from edgesim.model.ceilings import Ceilings
from edgesim.model.profile import Profile
from edgesim.model.scaling import ScaledTiming

KEY = b"edgesim.profile"
Rows = list[dict[str, Any]]


@pytest.fixture
def table() -> pa.Table:
    llama = Architecture.from_config(LLAMA, name="small", dtype="bfloat16")
    return handmade_profile(llama, batches=(1, 4)).table()


def refused(tmp_path: Path, table: pa.Table) -> str:
    file = tmp_path / "p.parquet"
    pq.write_table(table, file)
    with pytest.raises(ProfileError) as found:
        Profile.load(file)
    text = str(found.value)
    assert text.startswith(str(file))
    assert "\n" not in text
    assert len(text) < 500
    return text


def with_rows(table: pa.Table, change: Callable[[Rows], object]) -> pa.Table:
    rows = table.to_pylist()
    change(rows)
    schema = pa.schema([field.with_nullable(True) for field in table.schema], metadata=table.schema.metadata)
    return pa.Table.from_pylist(rows, schema=schema)


def saying(table: pa.Table, change: Callable[[dict[str, Any]], Any]) -> pa.Table:
    said = change(json.loads(table.schema.metadata[KEY]))
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    return table.replace_schema_metadata({KEY: text})


def put(key: str, value: object, row: int = 3) -> Callable[[Rows], object]:
    return lambda rows: rows[row].__setitem__(key, value)


COUNTS = ("batch", "n_new", "n_context", "n_repeats", "n_shards")
UNLIKELY = (math.nan, math.inf, -1.0, 0.0, 1e308)
POINTS: list[tuple[Callable[[Rows], object], str]] = [
    *((put("median_s", value), "point 4: its median_s is") for value in UNLIKELY),
    (put("median_s", None), "point 4: its median_s is None"),
    (put("spread_s", math.nan), "point 4: its spread_s is nan"),
    (put("spread_s", -1e-3), "point 4: its spread_s is"),
    (put("predicted_s", math.inf), "point 4: its predicted_s is inf"),
    (put("component", "heart"), "point 4: its component is 'heart'; expected embedding"),
    (put("component", None), "point 4: its component is None"),
    (put("phase", "sleep"), "point 4: its phase is 'sleep'; expected prefill or decode"),
    *((put(key, -1), f"point 4: its {key} is -1") for key in COUNTS),
    *((put(key, 2**62), f"point 4: its {key} is") for key in COUNTS),
    (put("held_out", None), "point 4: held_out is None"),
    (lambda rows: rows.append(rows[3]), "the same as point 4"),
    (lambda rows: rows.clear(), "it has no point"),
    (lambda rows: [row.update(held_out=True) for row in rows], "except test points"),
    (lambda rows: rows.__delitem__(slice(0, None, 7)), "the grid has a gap|except test points"),
    (lambda rows: [row.update(held_out=True) for row in rows if row["component"] == "head"], "of the head"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"), POINTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_point_that_cannot_be_is_named(
    table: pa.Table, tmp_path: Path, change: Callable[[Rows], object], message: str
) -> None:
    assert re.search(message, refused(tmp_path, with_rows(table, change)))


def test_a_profile_of_which_any_part_is_left_scales_to_another_device_or_is_refused(tmp_path: Path) -> None:
    """Shards included: whatever passes the checks has all that scaling looks up."""
    whole = handmade_profile(
        Architecture.from_config(LLAMA, name="small", dtype="bfloat16"), shards=(1, 2, 4)
    )
    whole.save(tmp_path / "whole.parquet")
    table = pq.read_table(tmp_path / "whole.parquet")
    kinds = {(row["component"], row["phase"], row["n_shards"]) for row in table.to_pylist()}
    cuts = [table.slice(0, n) for n in range(1, len(table), 3)]
    cuts += [table, table.filter(pc.less(table["n_shards"], 4))]
    for left_out in kinds:
        kept = [(r["component"], r["phase"], r["n_shards"]) != left_out for r in table.to_pylist()]
        cuts.append(table.filter(pa.array(kept)))
    n_loaded = 0
    for cut in cuts:
        pq.write_table(cut, tmp_path / "cut.parquet")
        with suppress(ProfileError):
            profile = Profile.load(tmp_path / "cut.parquet")
            n_loaded += 1
            ScaledTiming(profile, Ceilings(1e12, 1e11, 1e-5))
    assert 2 <= n_loaded < len(cuts)


ODD = (None, "x", -1, [], True)


CONDITIONS = ("architecture", "ceilings", "device", "threads", "host", "versions", "measured_at", "grid")


@pytest.mark.parametrize("key", CONDITIONS)
def test_a_condition_that_is_missing_or_odd_is_named(table: pa.Table, tmp_path: Path, key: str) -> None:
    kind = {"device": str, "measured_at": str, "threads": int}.get(key, dict)
    without = saying(table, lambda said: {name: value for name, value in said.items() if name != key})
    assert f"has no '{key}'" in refused(tmp_path, without)
    for value in ODD:
        if isinstance(value, kind) and not isinstance(value, bool) and value != -1:
            continue
        assert f"its '{key}' is" in refused(tmp_path, saying(table, lambda said, v=value: said | {key: v}))


@pytest.mark.parametrize("key", ["flop_per_s", "bytes_per_s", "overhead_s"])
@pytest.mark.parametrize("value", [-1, 0, math.nan, math.inf, 1e308, "x", None, True])
def test_ceilings_are_those_of_a_machine(table: pa.Table, tmp_path: Path, key: str, value: object) -> None:
    changed = saying(table, lambda said: said | {"ceilings": said["ceilings"] | {key: value}})
    assert f"'{key}' is" in refused(tmp_path, changed)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"5", b"\xff\xfe", b"[" * 100_000, b"9" * 9999])
def test_conditions_that_are_no_object_are_refused(table: pa.Table, tmp_path: Path, text: bytes) -> None:
    assert "its conditions are" in refused(tmp_path, saying(table, lambda _: text))


@pytest.mark.parametrize("config", ["{", "{}", "[]", '{"model_type": "llama", "hidden_size": -1}'])
def test_a_model_that_is_none_is_refused(table: pa.Table, tmp_path: Path, config: str) -> None:
    def change(said: dict[str, Any]) -> dict[str, Any]:
        return said | {"architecture": said["architecture"] | {"config": config}}

    assert "a damaged profile" in refused(tmp_path, saying(table, change))


def test_a_damaged_profile_in_the_cache_is_measured_again(
    table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the file is sound Parquet, and one of its points is not."""
    pytest.importorskip("torch")
    from edgesim.measure import timing

    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path))
    llama, grid = Architecture.from_config(LLAMA, name="small", dtype="bfloat16"), Grid.covering(64, 64)
    fresh, told = handmade_profile(llama), []
    monkeypatch.setattr(timing, "measure_profile", lambda *_, **__: fresh)
    path = cache.profile_path(llama, threads=2, device="cpu", grid=grid)
    path.parent.mkdir(parents=True)
    pq.write_table(with_rows(table, put("median_s", math.nan)), path)
    got = cache.ensure_profile(llama, threads=2, grid=grid, progress=lambda *words: told.append(words[-1]))
    assert got == fresh == cache.cached_profile(path)
    assert "point 4: its median_s is nan" in told[0]


def test_a_cache_that_cannot_be_written_costs_a_warning_and_not_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from edgesim.measure import timing

    (tmp_path / "file").write_text("in the way of a folder")
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "file"))
    llama = Architecture.from_config(LLAMA, name="small", dtype="bfloat16")
    fresh = handmade_profile(llama)
    monkeypatch.setattr(timing, "measure_profile", lambda *_, **__: fresh)
    with pytest.warns(UserWarning, match=r"cannot be kept in .*EDGESIM_CACHE_DIR"):
        assert cache.ensure_profile(llama, threads=2, grid=Grid.covering(64, 64)) == fresh

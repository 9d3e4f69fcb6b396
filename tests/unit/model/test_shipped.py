"""Shipped profiles: the index says what the files do, they are small, and finding one loads no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from small_models import handmade_profile

from edgesim.errors import ProfileError
from edgesim.model import shipped
from edgesim.model.architecture import Architecture
from edgesim.model.profile import Profile
from edgesim.model.shipped import (
    INDEX_FILE,
    Shipped,
    load_shipped,
    shipped_for,
    shipped_profiles,
    write_index,
)

FOLDER = Path(shipped.__file__).parents[1] / "data" / "profiles"


def test_the_index_says_what_the_files_do() -> None:
    assert {file.stem for file in FOLDER.glob("*.parquet")} == set(shipped_profiles())
    for name, row in shipped_profiles().items():
        assert json.loads(json.dumps(asdict(row))) == json.loads(
            json.dumps(asdict(Shipped.of(name, load_shipped(name))))
        )


def test_they_are_small_enough_for_a_wheel() -> None:
    sizes = [file.stat().st_size for file in FOLDER.glob("*.parquet")]
    assert max(sizes) < 300_000
    assert sum(sizes) < 2_000_000


@pytest.mark.parametrize("name", shipped_profiles())
def test_each_is_of_a_model_of_the_catalogue_and_named_after_it(name: str) -> None:
    from edgesim.scenario.catalogue import model  # the catalogue is above; only this test looks there

    row = shipped_profiles()[name]
    assert name.startswith(f"{row.model}-{row.dtype}-")
    assert row.architecture == model(row.model).architecture(row.dtype).digest
    assert row in shipped_for(model(row.model).architecture(row.dtype).quantised(0.5))


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    known = next(iter(shipped_profiles()))
    with pytest.raises(ProfileError, match=f"did you mean '{known}'"):
        load_shipped(f"{known}x")


def test_an_index_is_written_from_the_files(tmp_path: Path, profile: Profile, gpt2: Architecture) -> None:
    profile.stamped("raspberry-pi-5").save(tmp_path / "b.parquet")
    handmade_profile(gpt2, batches=(1, 4), shards=(1, 2)).save(tmp_path / "a.parquet")
    first, second = write_index(tmp_path)
    assert (first.name, first.model, first.batches, first.shards, first.kind) == (
        "a", "small-gpt2", (1, 4), (1, 2), "",
    )  # fmt: skip
    assert (second.kind, second.measured_on, second.threads) == ("raspberry-pi-5", "a processor", 2)
    assert (second.max_prompt, second.max_context, second.median_error) == (64, 64, 0.2)
    assert [row["name"] for row in json.loads((tmp_path / INDEX_FILE).read_text())] == ["a", "b"]


def test_loading_one_costs_no_torch() -> None:
    code = (
        "import sys; from edgesim.model.shipped import load_shipped, shipped_profiles\n"
        "load_shipped(next(iter(shipped_profiles())))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

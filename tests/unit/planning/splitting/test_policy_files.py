"""Files of policies come from anywhere: whatever is in them, they are a policy or one message."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from policies import always
from safetensors.numpy import load, save

from edgesim.errors import InputError
from edgesim.planning.splitting.policy import Policy

KEY = "edgesim_policy"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "it.safetensors"
    always(1, 3, actions="absolute", more={"splits": [1, 2, 4]}).save(path)
    return path


def changed(file: Path, tensors=None, told=None, record=None) -> Path:
    """The same file with other numbers, or another header; None takes something out."""
    data = file.read_bytes()
    numbers = load(data) | (tensors or {})
    n_header = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + n_header])["__metadata__"][KEY])
    header |= told or {}
    if record is not None:
        header["record"] = header["record"] | record
    kept = {name: value for name, value in numbers.items() if value is not None}
    plain = {name: value for name, value in header.items() if value is not None}
    file.write_bytes(save(kept, {KEY: json.dumps(plain)}))
    return file


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"layer.0.weight": np.full((3, 2), np.nan)}, "not finite"),
        ({"layer.0.weight": np.full((3, 2), 1e300)}, "not finite"),
        ({"layer.0.bias": np.full(3, np.inf)}, "not finite"),
        ({"layer.0.weight": np.zeros((3, 5))}, "shape"),
        ({"layer.0.bias": np.zeros(2)}, "shape"),
        ({"layer.0.bias": None}, "it contains"),
        ({"layer.7.weight": np.zeros((3, 2))}, "it contains"),
        ({"low": np.full(2, np.nan)}, "finite"),
        ({"low": np.ones(2)}, "increasing"),
        ({"low": np.zeros(3)}, "low ends"),
        ({"low": None, "high": None}, "it contains"),
    ],
)
def test_numbers_that_are_wrong(file: Path, tensors, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Policy.load(changed(file, tensors))
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"version": 2}, "of version 2"),
        ({"version": None}, "of none"),
        ({"knots": None}, "'knots' is missing"),
        ({"knots": [1]}, "knots"),
        ({"knots": [1, -1]}, "0 or more"),
        ({"knots": ["many", 1]}, "damaged"),
        ({"knots": [float("inf"), 1]}, "damaged"),
        ({"knots": 3}, "damaged"),
        ({"knots": [10**12, 1]}, "shape"),
        ({"activation": "gelu"}, "tanh or relu"),
        ({"scores": 3}, "logits or returns"),
        ({"record": 5}, "expected a mapping"),
        ({"record": {}}, "expected algorithm"),
    ],
)
def test_headers_that_are_wrong(file: Path, told, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Policy.load(changed(file, told=told))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"observations": ["loss"]}, "1 names for 2"),
        ({"observations": ["loss", "loss"]}, "each once"),
        ({"observations": [1, 2]}, "names"),
        ({"observations": "loss"}, "a list of names"),
        ({"actions": "sideways"}, "absolute, relative, other"),
        ({"n_steps": "many"}, "a whole number"),
        ({"seed": True}, "a whole number"),
        ({"more": [1]}, "a mapping"),
        ({"extra": 1}, "expected algorithm"),
    ],
)
def test_records_that_are_wrong(file: Path, record, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Policy.load(changed(file, record=record))


def test_what_is_no_file_of_a_policy(tmp_path: Path) -> None:
    empty, folder, large = tmp_path / "empty", tmp_path / "folder", tmp_path / "large"
    empty.touch()
    folder.mkdir()
    with large.open("wb") as stream:
        stream.truncate((64 << 20) + 1)
    for path in (empty, folder, large, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=path.name):
            Policy.load(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_truncation_or_changed_byte_is_a_policy_or_one_message(file: Path, data) -> None:
    whole = bytearray(always(1, 3, actions="absolute").encoded())
    if data.draw(st.booleans()):
        whole = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(whole))
    try:
        policy = Policy.load(file)
    except InputError:
        return
    assert 0 <= policy.act([0.5] * policy.n_seen) < policy.n_actions

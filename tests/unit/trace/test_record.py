"""run.json as a stranger may have written it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesim.errors import TraceError
from edgesim.report.comparison import comparison
from edgesim.trace.reader import Trace
from edgesim.trace.schema import SCHEMA_VERSION


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("\xff", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "expected a JSON object, got list"),
        ("null", "expected a JSON object, got NoneType"),
        ("{}", "schema version None"),
        ('{"schema_version": "3"}', "schema_version: Input should be a valid integer"),
        ('{"schema_version": 2}', "schema version 2, this edgesim reads"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(TraceError) as caught:
        Trace(tmp_path)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("strategies", "local"),
        ("strategies", [1]),
        ("horizon_s", "5"),
        ("options", {"local": None}),
        ("placements", {"local": {"device": "a"}}),
        ("quality", [1]),
        ("workload", None),
        ("objectives", {"ttft_s": "fast"}),
        ("replications", True),
    ],
)
def test_a_key_of_another_kind_is_refused_with_its_name(tmp_path: Path, key: str, value: object) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION, key: value}))
    with pytest.raises(TraceError, match=f"run.json: {key}"):
        Trace(tmp_path)


def test_a_key_that_is_missing_is_named_where_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION}))
    with pytest.raises(TraceError, match="'objectives' is missing"):
        comparison(Trace(tmp_path))

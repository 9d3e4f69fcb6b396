"""Readers by name and by contents: the most particular wins, a broken one is passed over and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgesim import plugins
from edgesim.errors import WorkloadError
from edgesim.testing import check_reader
from edgesim.workload.readers.detect import READERS, detect, named_format
from edgesim.workload.readers.formats.vidur import VIDUR
from edgesim.workload.readers.record import Format, Record, has_columns

VIDUR_FILE = "arrived_at,num_prefill_tokens,num_decode_tokens\n0.25,374,44\n1.5,396,109\n"


def records(path, text, length):
    next(text)
    for line, row in enumerate(text, 2):
        yield Record(line, float(row.split(",")[0]), 1, 2)


OWN = Format("own", "seconds", "arrived_at", "", records, recognises=has_columns("Arrived_At"))


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    file = tmp_path / "trace.csv"
    file.write_text(VIDUR_FILE, encoding="utf-8")
    return file


def add(monkeypatch: pytest.MonkeyPatch, **formats: Format | WorkloadError) -> None:
    found = plugins.discover_all(READERS)
    monkeypatch.setattr(plugins, "discover_all", lambda group: {**found, **formats})


def test_all_readers_are_found_by_name() -> None:
    found = plugins.discover(READERS)
    assert {"azure", "azure-multimodal", "burstgpt", "mooncake", "sharegpt", "vidur"} <= set(found)
    assert named_format("vidur") is VIDUR
    with pytest.raises(
        WorkloadError, match=r"no reader 'vidr'; did you mean 'vidur'\? \(edgesim list readers\)"
    ):
        named_format("vidr")


def test_the_most_particular_format_is_taken(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, aaa=OWN)
    assert detect(sample) is VIDUR
    columns = ("arrived_at", "num_prefill_tokens", "num_decode_tokens", "pd_ratio")
    particular = replace(OWN, recognises=has_columns(*columns))
    add(monkeypatch, zzz=particular)
    assert detect(sample) is VIDUR
    sample.write_text("arrived_at,num_prefill_tokens,num_decode_tokens,pd_ratio\n1,2,3,4\n", encoding="utf-8")
    assert detect(sample) is particular


def test_a_broken_reader_is_passed_over_and_named_where_nothing_fits(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def falls_over(head):
        raise KeyError("nothing")

    broken = WorkloadError("reader 'gone' cannot be loaded: no module")
    add(monkeypatch, falling=replace(OWN, recognises=falls_over), gone=broken)
    assert detect(sample) is VIDUR
    sample.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(
        WorkloadError, match=r"columns a, b; expected one of: .*'gone' cannot be.*'falling' fails"
    ):
        detect(sample)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"recognises": has_columns("arrived_at")}, "reader 'vidur' recognises the file equally well"),
        ({"recognises": has_columns("who")}, "does not recognise the file"),
        ({"recognises": None, "time_unit": None}, "the format's time unit is None"),
        ({"recognises": None, "records": lambda path, text, length: iter(())}, "cannot be pickled"),
        ({"recognises": None, "records": records.__name__}, "cannot be called"),
        ({"recognises": lambda: 1}, r"'recognises' does not take \(head\)"),
    ],
)
def test_the_checker_names_what_is_wrong(sample: Path, change, sentence) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_reader(replace(OWN, **change), sample)


def backwards(path, text, length):
    yield from [Record(3, 1.0, 1, 2), Record(2, 1.0, 1, 2)]


def fractions(path, text, length):
    yield Record(2, 1.0, 1.5, 2)


@pytest.mark.parametrize(
    ("reads", "sentence"), [(backwards, "line 2 follows line 3"), (fractions, "length 1.5; expected a whole")]
)
def test_the_checker_names_wrong_records(sample: Path, reads, sentence) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_reader(replace(OWN, recognises=None, records=reads), sample)


def test_edgesims_own_keep_the_contract(sample: Path) -> None:
    check_reader(VIDUR, sample)

"""Catalogues of several packages: a name taken twice, and what is broken, are mistakes of their own only."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgesim import plugins
from edgesim.errors import InputError, ScenarioError
from edgesim.scenario.catalogue import RuntimeEntry, device_kinds
from edgesim.scenario.catalogue.sources import CATALOGUES, Catalogue, Entries, installed, listed
from edgesim.scenario.schema.device_kinds import DeviceKind
from edgesim.testing import check_catalogue

BOARD = """\
{name}:
  description: A board
  memory: {{value: 4 GiB{source}}}
  process_memory: {{value: 500 MB, source: x}}
  power:
    idle: {{value: 3 W, source: x}}
    active: {{value: 5 W, source: x}}
    tx: {{value: 0.5 W, source: x}}
    rx: {{value: 0.3 W, source: x}}
  endpoint:
    overhead: {{value: 0.3 ms, source: x}}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package that can be imported."""
    folder = tmp_path / "somebodys_lab"
    folder.mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "somebodys_lab", raising=False)
    return folder


def lab(package: Path, *names: str, source: str = ", source: a datasheet") -> Catalogue:
    text = "".join(BOARD.format(name=name, source=source) for name in names)
    (package / "devices.yaml").write_text(text, encoding="utf-8")
    return Catalogue("somebodys_lab", devices="devices.yaml")


def test_edgesims_own_keeps_the_contract_but_for_its_names() -> None:
    own = plugins.load(CATALOGUES, "edgesim")
    with pytest.raises(
        AssertionError, match=r"devices: 'raspberry-pi-5' is the name of one of edgesim's own"
    ):
        check_catalogue(own)


def test_a_name_taken_twice_is_a_mistake_of_that_name_alone(package: Path) -> None:
    found = {**installed(), "lab": lab(package, "raspberry-pi-5", "our-board")}
    kinds = Entries("devices", DeviceKind, found)
    assert kinds.named("our-board").description == "A board"
    assert kinds.source("our-board") == "lab"
    assert kinds.named("raspberry-pi-4b") == device_kinds()["raspberry-pi-4b"]
    with pytest.raises(
        ScenarioError, match="catalogues edgesim and lab both have a device kind 'raspberry-pi-5'"
    ):
        kinds.named("raspberry-pi-5")
    told = dict(listed(kinds))
    assert [name for name, entry in told.items() if isinstance(entry, InputError)] == ["raspberry-pi-5"]


def test_two_entries_of_one_name_in_a_file_are_an_error(package: Path) -> None:
    catalogue = lab(package, "our-board", "another", "our-board")
    kinds = Entries("devices", DeviceKind, {**installed(), "lab": catalogue})
    assert "raspberry-pi-5" in kinds  # other catalogues are unaffected
    with pytest.raises(
        ScenarioError,
        match=r"no device kind 'our-board'.*'lab' cannot be read: devices.yaml has two entries 'our-board'",
    ):
        kinds.named("our-board")
    with pytest.raises(AssertionError, match="two entries 'our-board'; rename or remove one"):
        check_catalogue(catalogue)


def test_a_broken_catalogue_is_told_where_a_name_is_not_found() -> None:
    found = {**installed(), "lab": ScenarioError("catalogue 'lab' cannot be loaded: no licence")}
    kinds = Entries("devices", DeviceKind, found)
    assert kinds.named("raspberry-pi-5").description
    with pytest.raises(ScenarioError, match=r"no device kind 'our-bord'.*'lab' cannot be loaded: no licence"):
        kinds.named("our-bord")


def test_a_wrong_entry_is_told_with_its_place(package: Path) -> None:
    catalogue = lab(package, "good", "bad")
    file = package / "devices.yaml"
    head, _, tail = file.read_text("utf-8").rpartition("4 GiB")
    file.write_text(f"{head}4{tail}", encoding="utf-8")
    kinds = Entries("devices", DeviceKind, {"lab": catalogue})
    assert kinds.named("good")
    sentence = r"catalogue 'lab', device kind 'bad': \$\.memory.*: expected a data size such as"
    with pytest.raises(ScenarioError, match=sentence):
        kinds.named("bad")
    with pytest.raises(AssertionError, match="device kind 'bad'"):
        check_catalogue(catalogue)
    file.write_text("bad: [1\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match="catalogue 'lab', device kind 'bad': while parsing"):
        Entries("devices", DeviceKind, {"lab": catalogue}).named("bad")
    file.write_text("bad: word\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match="expected a mapping"):
        Entries("devices", DeviceKind, {"lab": catalogue}).named("bad")


def test_the_checker_wants_files_entries_and_sources(package: Path) -> None:
    check_catalogue(lab(package, "our-board"))
    with pytest.raises(AssertionError, match=r"devices: our-board\.memory states no source"):
        check_catalogue(lab(package, "our-board", source=""))
    with pytest.raises(AssertionError, match=r"'radios' is 'radios\.yaml', but there is no such file"):
        check_catalogue(Catalogue("somebodys_lab", radios="radios.yaml"))
    with pytest.raises(AssertionError, match="no package 'nobodys_lab'"):
        check_catalogue(Catalogue("nobodys_lab", radios="radios.yaml"))
    with pytest.raises(AssertionError, match="has no entries"):
        check_catalogue(Catalogue("somebodys_lab"))


def test_parts_that_a_catalogue_lacks_are_empty(package: Path) -> None:
    assert len(Entries("runtimes", RuntimeEntry, {"lab": lab(package, "our-board")})) == 0

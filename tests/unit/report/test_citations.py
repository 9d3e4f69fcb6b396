"""Everything that a scenario draws on is cited, and what is printed is BibTeX."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from edgesim.radio.channel.path_loss.environments import PATH_LOSSES
from edgesim.report.citations import bibtex, citations, keys_in, references, rules, sources_of
from edgesim.scenario.catalogue import device_kinds, models, radio_kinds
from edgesim.scenario.load import load
from edgesim.scenario.text.packaged import packaged_scenarios
from edgesim.strategy import discover

# Fields that BibTeX's standard styles warn of when they are missing (btxdoc, section 3.1), less the years of
# standards and datasheets, which have versions.
REQUIRED = {
    "article": {"author", "title", "journal", "year"},
    "inproceedings": {"author", "title", "booktitle", "year"},
    "book": {"author", "title", "publisher", "year"},
    "techreport": {"author", "title", "institution"},
    "misc": {"author", "title"},
    "software": {"author", "title", "version", "year"},
}


def parsed(text: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Read BibTeX strictly: comments, and entries of ``name = {balanced braces}`` with commas between."""
    entries: dict[str, tuple[str, dict[str, str]]] = {}
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] == "%":
            at = text.index("\n", at) + 1
        else:
            head = re.compile(r"@(\w+)\{([A-Za-z0-9-]+),\s*").match(text, at)
            assert head, text[at : at + 60]
            fields, at = _fields(text, head.end())
            assert head[2] not in entries, f"{head[2]} occurs twice"
            entries[head[2]] = (head[1], fields)
    return entries


def _fields(text: str, at: int) -> tuple[dict[str, str], int]:
    fields: dict[str, str] = {}
    while True:
        name = re.compile(r"\s*([a-z]+) = \{").match(text, at)
        assert name, text[at : at + 60]
        depth, end = 1, name.end()
        while depth:
            depth += (text[end] == "{") - (text[end] == "}")
            end += 1
        assert name[1] not in fields
        fields[name[1]] = text[name.end() : end - 1]
        after = re.compile(r"(,?)\s*(\}?)").match(text, end)
        assert after
        assert (after[1] != "") != (after[2] != ""), text[end : end + 40]
        at = after.end()
        if after[2]:
            return fields, at


@pytest.fixture(scope="module")
def entries() -> dict[str, tuple[str, dict[str, str]]]:
    return parsed(files("edgesim").joinpath("data/references.bib").read_text(encoding="utf-8"))


def test_the_file_is_bibtex_and_each_entry_has_what_its_type_needs(entries: dict[str, Any]) -> None:
    assert list(entries) == list(references())
    for key, (kind, fields) in entries.items():
        assert REQUIRED[kind] <= set(fields), key
        assert all(value and "\n" not in value for value in fields.values()), key
        if "eprint" in fields:
            assert re.fullmatch(r"\d{4}\.\d{4,5}", fields["eprint"]), key
            assert fields["archiveprefix"] == "arXiv"
        if "doi" in fields:
            assert re.fullmatch(r"10\.\d{4,}/\S+", fields["doi"]), key
        assert re.fullmatch(r"\d{4}", fields.get("year", "2000")), key


def test_every_key_resolves_and_every_entry_is_used() -> None:
    told = rules()
    used = {"edgesim", *told["sources"].values()}
    for each in told["strategies"].values():
        used.update(key for rule in each for key in rule["cite"])
    for part in ("propagation", "air", "compute"):
        used.update(key for keys in told[part].values() for key in keys)
    assert used == set(references())


def test_every_strategy_of_edgesim_has_its_rules() -> None:
    own = {name: found for name, found in discover().items() if found.__module__.startswith("edgesim.")}
    assert set(rules()["strategies"]) == set(own)
    for name, found in own.items():
        for rule in rules()["strategies"][name]:
            for option, values in rule.get("when", {}).items():
                for value in values:
                    found.model_validate({option: value})


def test_every_entry_of_the_catalogue_is_sourced() -> None:
    without = rules()["without"]
    devices = {name for name, kind in device_kinds().items() if not keys_in(sources_of(kind))}
    assert devices == set(without["devices"])
    assert {name for name, kind in models().items() if not keys_in([kind.source])} == set(without["models"])
    for name, kind in radio_kinds().items():
        assert keys_in(sources_of(kind)), name
        assert kind.air in rules()["air"]
    assert set(rules()["propagation"]) == set(PATH_LOSSES)


def test_papers_that_the_catalogue_names_by_number_are_all_known(entries: dict[str, Any]) -> None:
    numbers = {fields["eprint"] for _, fields in entries.values() if "eprint" in fields}
    texts = [kind.source for kind in models().values()]
    texts += [source for kind in device_kinds().values() for source in sources_of(kind)]
    named = {number for text in texts for number in re.findall(r"arXiv (\d{4}\.\d{4,5})", text)}
    assert named <= numbers


@pytest.mark.parametrize("name", packaged_scenarios())
def test_what_is_printed_of_a_scenario_is_bibtex(name: str) -> None:
    cited = citations(load(name))
    assert list(parsed(bibtex(cited))) == list(cited.reasons)
    assert "edgesim" in cited.reasons


def test_a_scenario_cites_what_it_uses_and_nothing_else() -> None:
    keys = set(citations(load("first_steps")).reasons)
    assert keys == {
        "edgesim", "macario2025mdi", "nvidia-orin-nano", "raspberry-pi-4", "wolf2020transformers",
        "williams2009roofline", "distributed-llama", "orin-nano-wifi",
    }  # fmt: skip
    shifted = citations(load("first_steps", ["strategies.pipeline.partition=latency", "profile=analytic"]))
    assert set(shifted.reasons) == (keys | {"zhang2024edgeshard"}) - {"wolf2020transformers"}
    assert shifted.reasons["zhang2024edgeshard"] == ("strategy pipeline",)
    assert "strategy local: a plain baseline" in shifted.unsourced
    city = set(citations(load("smart_city")).reasons)
    assert {"chen2024splitting", "xie2024dtoee", "zhang2025air", "3gpp38901", "zhang2024tinyllama"} <= city
    assert "ieee80211" not in city


def test_kinds_of_the_scenarios_own_are_said_with_their_own_sources() -> None:
    lawful = Path(__file__).parents[1] / "trace" / "lawful.yaml"
    lines = [line for line in citations(load(lawful)).unsourced if line.startswith("device phone-like")]
    assert lines == ["device phone-like: defined in this scenario; its sources: A phone; A process"]

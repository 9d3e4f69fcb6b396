"""A scenario is resolved once, and what is prepared, or edited afterwards, is what runs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgesim.errors import InputError, PlacementError, ProfileError, ScenarioError
from edgesim.model.architecture import Architecture
from edgesim.runner import Prepared, lesson, prepare, run
from edgesim.runner import prepared as of_prepared
from edgesim.scenario import build, check
from edgesim.scenario.build import resolve
from edgesim.scenario.catalogue import model
from edgesim.scenario.load import load
from edgesim.strategies.local import Local
from edgesim.trace.reader import Trace
from edgesim.workload.lengths import Fixed
from edgesim.workload.requests import Workload

QUICK = ("profile=analytic", "horizon=5 s", "replications=2")


@pytest.fixture
def prepared() -> Prepared:
    return prepare(load("first_steps", QUICK))


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often topologies are laid out, architectures read and worlds built."""
    found: Counter[str] = Counter()

    def counting(name: str, make: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **named: object) -> object:
            found[name] += 1
            return make(*args, **named)

        return counted

    monkeypatch.setattr(check, "lay_out", counting("layouts", check.lay_out))
    monkeypatch.setattr(of_prepared, "build_world", counting("worlds", of_prepared.build_world))
    monkeypatch.setattr(build, "World", counting("worlds made", build.World))
    read = Architecture.from_config.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Architecture, "from_config", classmethod(counting("models", read)))
    return found


@pytest.mark.parametrize("name", ["first_steps", "rl_split"])
def test_one_layout_one_model_and_one_world_a_replication(
    counts: Counter[str], name: str, tmp_path: Path
) -> None:
    """A lesson has a world of its own, for its seed is another, and nothing else."""
    ready = prepare(load(name, [*QUICK, "replications=3", "horizon=30 s"]))
    run(ready, tmp_path / "out")
    assert counts == {"layouts": 1, "models": 1, "worlds": 3, "worlds made": 3}
    if name == "rl_split":
        lesson(ready, next(label for label, s in ready.strategies.items() if type(s).__name__ == "RlSplit"))
        assert counts == {"layouts": 1, "models": 1, "worlds": 4, "worlds made": 4}


def test_a_check_reads_no_more_than_a_run(counts: Counter[str]) -> None:
    prepare(load("first_steps", QUICK), measure=False)
    assert counts == {"layouts": 1, "models": 1, "worlds": 1, "worlds made": 1}


def test_a_scenario_that_was_changed_is_resolved_anew(counts: Counter[str]) -> None:
    scenario = load("first_steps", QUICK)
    changed = scenario.model_copy(update={"seed": 99})
    assert resolve(changed).scenario.seed == 99
    assert resolve(scenario).scenario.seed == 1
    assert counts["layouts"] == 2
    assert resolve(scenario).layout is resolve(scenario).layout


def requests_of(trace: Trace, label: str = "local") -> str:
    return hashlib.sha256(trace.requests(label, 0).to_csv().encode()).hexdigest()


def test_an_edited_workload_is_what_is_asked(prepared: Prepared, tmp_path: Path) -> None:
    law = prepared.workload
    assert isinstance(law, Workload)
    edited = replace(prepared, workload=replace(law, output_tokens=Fixed(3)))
    trace = run(edited, tmp_path / "out")
    assert set(trace.requests("local", 1)["n_output_tokens"]) == {3}
    assert trace.run["edited"] == ["workload"]
    asked = run(prepare(load("first_steps", [*QUICK, "workload.output_tokens=3"])), tmp_path / "asked")
    assert requests_of(trace) == requests_of(asked)
    assert "edited" not in asked.run


def test_an_edited_seed_and_number_of_replications_count(prepared: Prepared, tmp_path: Path) -> None:
    scenario = prepared.scenario.model_copy(update={"seed": 8, "replications": 3})
    trace = run(replace(prepared, scenario=scenario), tmp_path / "out")
    asked = run(prepare(load("first_steps", [*QUICK, "seed=8", "replications=3"])), tmp_path / "asked")
    assert trace.replications("local") == asked.replications("local") == (0, 1, 2)
    assert requests_of(trace) == requests_of(asked)


def test_edited_kinds_layouts_and_models_count_as_if_the_scenario_said_so(tmp_path: Path) -> None:
    study = resolve(load("first_steps", QUICK))
    for change, override in (
        (
            {"kinds": dict.fromkeys(study.kinds, study.kinds["jetson-orin-nano"])},
            "topology.devices.phone.kind=jetson-orin-nano",
        ),
        ({"model": model("gpt2").architecture("float32")}, "model.architecture=gpt2"),
        (
            {"layout": replace(study.layout, links=(replace(study.layout.links[0], latency_s=0.5),))},
            "topology.links.0.wired.latency=500 ms",
        ),
    ):
        (name,) = change
        edited = run(prepare(replace(study, **change)), tmp_path / name)
        asked = run(prepare(load("first_steps", [*QUICK, override])), tmp_path / f"{name}-asked")
        assert requests_of(edited, "offload") == requests_of(asked, "offload"), name
        assert edited.run["edited"] == [name]


def test_edited_strategies_are_placed_and_run(prepared: Prepared, tmp_path: Path) -> None:
    strategies = {"mine": Local()}
    with pytest.raises(PlacementError, match="strategies mine, but placements of local, offload, pipeline"):
        run(replace(prepared, strategies=strategies), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    trace = run(prepare(replace(prepared, strategies=strategies)), tmp_path / "out")
    assert trace.strategies == ("mine",)
    placed = replace(prepared, placements=prepared.placements | {"offload": prepared.placements["local"]})
    assert run(placed, tmp_path / "placed").run["placements"]["offload"] == trace.run["placements"]["mine"]  # type: ignore[index]


def test_what_an_edit_breaks_is_refused_before_time_zero(prepared: Prepared, tmp_path: Path) -> None:
    law = prepared.workload
    assert isinstance(law, Workload)
    measured = prepare(load("first_steps", ["profile=reference", *QUICK[1:]]))
    scenario = prepared.scenario
    longer = scenario.model_copy(update={"horizon_s": 500.0})
    for edited, error, message in (
        (
            replace(measured, workload=replace(law, prompt_tokens=Fixed(900))),
            ProfileError,
            "takes its times from",
        ),
        (replace(prepared, workload=replace(law, prompt_tokens=Fixed(10**7))), ScenarioError, "context"),
        (replace(prepared, scenario=longer), ScenarioError, "differs in horizon"),
        (
            replace(prepared, scenario=load("first_steps", [*QUICK, "model.architecture=gpt2"])),
            ScenarioError,
            "differs in model",
        ),
    ):
        with pytest.raises(error, match=message):
            run(edited, tmp_path / "deep" / "out")
        assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_leaves_no_folder(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="jobs: expected at least 1"):
        run(prepared, tmp_path / "made" / "out", jobs=0)

    def in_vain(*_: object) -> None:
        raise InputError("the disk is full")

    profiles = prepare(load("first_steps", ["profile=reference", *QUICK[1:]]))
    object.__setattr__(profiles.profiles.base, "save", in_vain)
    with pytest.raises(InputError, match="the disk is full"):
        run(profiles, tmp_path / "made" / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_any_number_of_processes_writes_the_same_bytes_of_an_edited_study(
    prepared: Prepared, tmp_path: Path
) -> None:
    law = prepared.workload
    assert isinstance(law, Workload)
    edited = replace(prepared, workload=replace(law, output_tokens=Fixed(3)))
    told: list[tuple[str, int]] = []
    for jobs in (1, 3):
        run(
            edited,
            tmp_path / str(jobs),
            jobs=jobs,
            on_progress=lambda ran: told.append((ran.strategy, ran.replication)),
        )
    assert sorted(told[:6]) == sorted(told[6:])
    one, several = (
        {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.parquet")}
        for folder in (tmp_path / "1", tmp_path / "3")
    )
    assert one == several
    facts = [json.loads((tmp_path / jobs / "run.json").read_text()) for jobs in "13"]
    for each in facts:
        each.pop("simulating_took_s")
    assert facts[0] == facts[1]


def test_a_named_file_that_is_removed_after_preparing_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "asked.csv").write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n0,8,2\n1,8,2\n")
    text = (Path("scenarios") / "first_steps.yaml").read_text()
    file = tmp_path / "own.yaml"
    head, rest = text.split("\nworkload:", 1)
    tail = rest[rest.index("\nstrategies:") :]
    file.write_text(head + "\nworkload:\n  trace: {file: asked.csv}\n  sources: phone\n" + tail)
    prepared = prepare(load(file, ["profile=analytic"]))
    (tmp_path / "asked.csv").unlink()
    with pytest.raises(InputError, match=r"asked\.csv: cannot be read .*restore it"):
        run(prepared, tmp_path / "out")
    assert not (tmp_path / "out").exists()

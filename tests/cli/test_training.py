"""Policies are trained on first use, kept, shipped, shown; and what is wrong is said in one message."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from asking import Asking
from effort import long_only
from one_phone import one_phone
from policies import Taught, always

from edgesim import runner
from edgesim.cli.training_changes import TrainingChanges
from edgesim.gym import teaching
from edgesim.planning.policies import shipped
from edgesim.planning.splitting.policy import Policy
from edgesim.scenario import trained_policies
from edgesim.strategies.rl_split import RlSplit
from edgesim.strategy import Training, Utility

LONG = long_only("minutes")

SCENARIO = one_phone(
    "&split {use: rl_split, label: learned, to: edge, splits: [1, 2, 4], policy: trained,"
    " utility: {latency_per_s: 1}}",
    "{<<: *split, label: fixed, policy: fixed, split: 1}",
    name="taught",
    horizon="5 s",
    arrivals="poisson: 2 Hz",
    prompt=8,
    output=2,
)


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "taught.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> Taught:
    stands_in = Taught(n_actions=3, action=2)
    monkeypatch.setattr(teaching, "train_decision", stands_in)
    monkeypatch.setattr(trained_policies, "_N_ARRIVALS", 10)  # episodes to judge in, and not to learn from
    return stands_in


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "policies").glob("*"))


def run(edgesim, scenario: Path, *words: str):
    return edgesim("run", scenario, "--out", scenario.parent / "trace", "--replace", *words)


def test_the_first_run_trains_and_later_ones_find_it(edgesim, scenario: Path, taught: Taught) -> None:
    first = run(edgesim, scenario)
    assert first.status == 0, first.err
    assert "training" in first.err
    (file,) = kept(tmp := scenario.parent)
    facts = json.loads((tmp / "trace" / "run.json").read_text())["policies"]["learned"]
    assert facts["file"] == file.name
    assert facts["trained_on"].startswith(file.stem)
    # What was not trained on has no part in it: neither name, seed, length nor rivals.
    for words in (
        ("--seed", "7", "--replications", "2"),
        ("--set", "horizon=3 s", "--set", "name=other", "--set", "warmup=1 s"),
        ("--strategy", "learned"),
        ("--set", "strategies[1].split=2"),
        # Nor have other rules' options.
        ("--set", "strategies[0].threshold=0.3"),
        ("--set", "strategies[0].split=2"),
        ("--set", "strategies[0].see=[loss, split]"),
        ("--set", "strategies[1].policy=trained"),
    ):
        again = run(edgesim, scenario, *words)
        assert again.status == 0, again.err
        assert "training" not in again.err
    assert len(taught.asked) == 1


@pytest.mark.parametrize(
    "change",
    [
        "workload.arrivals.poisson='3 Hz'",
        "topology.links[0].wired.rate='20 Mbit/s'",
        "topology.devices[1].kind=jetson-agx-orin",
        "model.dtype=float16",
        "quality={model: bundled}",
        "strategies[0].splits=[1, 3, 4]",
        "strategies[0].utility.latency_per_s=2",
        "strategies[0].learning={steps: 77}",
        "strategies[0].learning={seed: 3}",
    ],
)
def test_what_it_depends_on_trains_anew(edgesim, scenario: Path, taught: Taught, change: str) -> None:
    assert run(edgesim, scenario, "--strategy", "learned").status == 0
    said = run(edgesim, scenario, "--strategy", "learned", "--set", change)
    assert said.status == 0, said.err
    assert len(taught.asked) == 2


def test_a_kept_file_that_is_damaged_is_trained_anew(edgesim, scenario: Path, taught: Taught) -> None:
    assert run(edgesim, scenario).status == 0
    (file,) = kept(scenario.parent)
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    assert run(edgesim, scenario).status == 0
    assert len(taught.asked) == 2
    assert file.read_bytes() == whole


def test_one_that_ships_is_taken_by_its_digest_or_by_its_name(
    edgesim, scenario: Path, taught: Taught, monkeypatch: pytest.MonkeyPatch
) -> None:
    ships = scenario.parent / "ships.safetensors"
    scenario.write_text(SCENARIO + "quality: {model: bundled}\n")
    assert edgesim("train", scenario, "-o", ships).status == 0
    assert kept(scenario.parent)[0].read_bytes() == ships.read_bytes()
    kept(scenario.parent)[0].unlink()
    monkeypatch.setattr(shipped, "shipped_policies", lambda: {"mine": ships})
    assert run(edgesim, scenario).status == 0
    assert len(taught.asked) == 1
    assert kept(scenario.parent) == []
    named = run(edgesim, scenario, "--set", "strategies[0].policy=shipped:mine", "--seed", "4")
    assert named.status == 0, named.err
    said = run(edgesim, scenario, "--set", "strategies[0].policy=shipped:mne")
    assert said.status == 2
    assert "did you mean 'mine'?" in said.err


def test_without_the_extra_one_message_says_what_to_do(
    edgesim, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    for said in (run(edgesim, scenario), edgesim("train", scenario)):
        assert said.status == 2
        assert "pip install 'edgesim[rl]'" in said.err
        assert "shipped:" in said.err
        assert "Traceback" not in said.err
    assert not (scenario.parent / "trace").exists()


def test_train_writes_where_it_comes_from_and_policy_shows_it(
    edgesim, scenario: Path, taught: Taught
) -> None:
    out = scenario.parent / "deep" / "mine.safetensors"
    said = edgesim("train", scenario, "--algorithm", "a2c", "--steps", 12, "--seed", 5, "-o", out)
    assert said.status == 0, said.err
    (asked,) = taught.asked
    assert (asked.algorithm, asked.n_steps, asked.seed) == ("a2c", 12, 5)
    record = Policy.load(out).record
    origin = record.more["provenance"]
    assert origin["command"].startswith("edgesim train")
    assert "--seed 5" in origin["command"]
    assert origin["evaluation"]["replications"] == 4
    # Action 2 is all on the phone: judged against itself among the constant ones.
    mine, constant = (
        origin["evaluation"]["utility_per_request"],
        origin["evaluation"]["constant_utility_per_request"],
    )
    assert mine == constant[2]
    assert origin["evaluation"]["gain_over_best_constant"] == pytest.approx(mine - max(constant))
    for word in ("taught, strategy learned (rl_split)", record.trained_on, "a2c", "loss (0 to 1)", "1, 2, 4"):
        assert word in edgesim("policy", out).out
    told = json.loads(edgesim("policy", out, "--json").out)
    assert told["trained_on"] == record.trained_on
    assert edgesim("list", "policies").status == 0
    used = run(edgesim, scenario, "--set", f"strategies[0].policy={out}", "--strategy", "learned")
    assert used.status == 0, used.err


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--algorithm", "a2c", "--steps", 12, "--seed", 5),
        ("--utility", "latency_per_s=2", "--utility", "failure=1.5"),
        ("--set", "workload.arrivals.poisson='3 Hz'", "--steps", "7"),
    ],
)
@pytest.mark.parametrize("label", ["learned", "fixed"])
def test_what_is_trained_is_found_by_the_settings_that_are_said(
    edgesim, scenario: Path, taught: Taught, flags: tuple[object, ...], label: str
) -> None:
    said = edgesim("train", scenario, "--strategy", label, *flags)
    assert said.status == 0, said.err
    (told,) = [line for line in said.err.splitlines() if line.startswith("found by: ")]
    words = shlex.split(told.removeprefix("found by: "))
    assert words[:2] == ["edgesim", "run"]
    again = edgesim(*words[1:], "--strategy", label, "--out", scenario.parent / "trace")
    assert again.status == 0, again.err
    assert "training" not in again.err
    assert len(taught.asked) == 1
    assert len(kept(scenario.parent)) == 1


def test_what_no_option_says_is_not_kept_for_runs_that_never_look_for_it(
    edgesim, scenario: Path, taught: Taught, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingChanges, "as_options", lambda self, strategy, place: ([], self))
    said = edgesim("train", scenario, "--steps", 12, "-o", scenario.parent / "mine.safetensors")
    assert said.status == 0, said.err
    assert "learned has no option for --steps, so a run does not find this policy" in said.err
    assert [asked.n_steps for asked in taught.asked] == [12]
    assert kept(scenario.parent) == []


def test_options_say_what_is_asked_for_where_there_are_such_options() -> None:
    wishes = TrainingChanges.checked(None, "a2c", None, 5, ["load=0.5"])
    settings, left = wishes.as_options(RlSplit(to="edge"), 3)
    assert settings == [
        "strategies[3].learning.algorithm=a2c",
        "strategies[3].learning.seed=5",
        "strategies[3].utility.load=0.5",
    ]
    assert not left.any
    assert wishes.as_options(Asking(), 0) == ([], wishes)
    training = Training(decision="x", utility=Utility(failure=2.0), observations=("a",), low=(0,), high=(1,))
    changed = TrainingChanges.checked(None, "dqn", 9, None, ["failure=1"]).applied(training)
    assert (changed.algorithm, changed.n_steps, changed.seed, changed.utility.failure) == ("dqn", 9, 0, 1.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--strategy", "plain"), "'plain' has no decision that can be trained"),
        (("--strategy", "learned", "--decision", "server"), "'split'"),
        (("--strategy", "learned", "--utility", "latency_per_s=-1"), "0 or more"),
        (("--strategy", "learned", "--utility", "quality=1"), "'quality' has a weight"),
        (("--strategy", "learned", "--steps", "0"), "--steps"),
    ],
)
def test_nothing_is_measured_for_what_is_refused(
    edgesim, scenario: Path, taught: Taught, monkeypatch: pytest.MonkeyPatch, words, message: str
) -> None:
    scenario.write_text(SCENARIO + "  - {use: local, label: plain}\n")
    prepare = runner.prepare

    def unmeasured(*given: object, **options: object) -> object:
        assert options.get("measure") is False
        return prepare(*given, **options)

    monkeypatch.setattr(runner, "prepare", unmeasured)
    said = edgesim("train", scenario, *words)
    assert said.status == 2, said.err
    assert message in said.err


def test_nothing_is_overwritten_unless_asked(edgesim, scenario: Path, taught: Taught) -> None:
    out = scenario.parent / "mine.safetensors"
    out.write_text("precious")
    said = edgesim("train", scenario, "-o", out)
    assert (said.status, out.read_text()) == (2, "precious")
    assert "--replace" in said.err
    assert taught.asked == []
    assert edgesim("train", scenario, "-o", out, "--force").status == 0
    assert Policy.load(out).n_actions == 3


def test_an_interrupted_training_leaves_nothing(
    edgesim, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(teaching, "train_decision", interrupted)
    before = sorted(scenario.parent.rglob("*"))
    assert edgesim("train", scenario, "-o", scenario.parent / "mine.safetensors").status != 0
    assert run(edgesim, scenario).status != 0
    assert sorted(scenario.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--algorithm", "pp0"), "did you mean 'ppo'?"),
        (("--strategy", "learnd"), "there are learned, fixed"),
        (("--decision", "server"), "'split'"),
        (("--utility", "latency=1"), "did you mean 'latency_per_s'?"),
        (("--utility", "latency_per_s=fast"), "expected latency_per_s=NUMBER"),
        (("--utility", "latency_per_s=inf"), "finite"),
        (("--utility", "latency_per_s=-1"), "0 or more"),
        (("-o", "mine.txt"), ".safetensors"),
        (("-o", "taught.yaml/mine.safetensors"), "cannot be written"),
        (("--set", "quality=null", "--utility", "quality=1"), "'quality' has a weight"),
        (("--set", "strategies=[{use: local}]"), "none of the strategies local has a decision"),
        (("--set", "strategies[1].policy=trained"), "learned, fixed"),
    ],
)
def test_wrong_input_is_one_message(edgesim, scenario: Path, taught: Taught, words, message: str) -> None:
    said = edgesim("train", scenario, *words)
    assert said.status == 2
    assert message in said.err
    assert "Traceback" not in said.err


def test_runs_of_rules_and_files_load_nothing_that_trains(scenario: Path) -> None:
    always(1, 3).save(scenario.parent / "mine.safetensors")
    heavy = "{'gymnasium', 'stable_baselines3', 'torch', 'transformers'} & sys.modules.keys()"
    runs = f"""
import sys
from edgesim.cli import app
for words in (
    ["run", "--help"], ["train", "--help"], ["list", "policies"], ["policy", "mine.safetensors"],
    ["run", "taught.yaml", "--out", "a", "--strategy", "fixed"],
    ["run", "taught.yaml", "--out", "b", "--set", "strategies[0].policy=mine.safetensors"],
    ["check", "taught.yaml"],
):
    app(words, standalone_mode=False)
sys.stderr.write(repr(sorted({heavy})))
"""
    done = subprocess.run(
        [sys.executable, "-c", runs],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=scenario.parent,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("[]")


@LONG
@pytest.mark.slow
def test_a_policy_is_really_trained_and_the_same_again(edgesim, scenario: Path) -> None:
    """On a wire nothing is lost, so that one cut is best of all, and there is nothing to gain over it."""
    files = [scenario.parent / name for name in ("one.safetensors", "two.safetensors")]
    for file in files:
        said = edgesim("train", scenario, "--steps", 2000, "-o", file)
        assert said.status == 0, said.err
    one, two = map(Policy.load, files)
    assert [layer[0].tobytes() for layer in one.layers] == [layer[0].tobytes() for layer in two.layers]
    evaluation = one.record.more["provenance"]["evaluation"]
    worst = min(evaluation["constant_utility_per_request"])
    best = max(evaluation["constant_utility_per_request"])
    assert best - evaluation["utility_per_request"] <= 0.05 * (best - worst)

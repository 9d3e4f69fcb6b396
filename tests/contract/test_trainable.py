"""Another author's strategy is trained the same way: it says what can be trained, and takes a policy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from asking import Asking, text
from policies import Taught

from edgesim import plugins, runner
from edgesim.errors import InputError, StrategyError
from edgesim.gym import teaching
from edgesim.planning.splitting.policy import Policy
from edgesim.scenario import trained_policies
from edgesim.scenario.load import parse
from edgesim.strategy import Training, Utility

NAMES = ("phone_s", "box_s", "far_s")


class Trainable(Asking):
    """Asks which device serves a request; decides by a policy, or wants one."""

    policy: Path | None = None
    table: str = ""
    notes: Path = Path("notes")

    @property
    def needs_training(self):
        return self.policy is None

    def training(self, placement, model, fleet):
        n = len(NAMES)
        return Training(
            decision="server",
            utility=Utility(latency_per_s=1.0, failure=10.0),
            observations=NAMES,
            low=(0.0,) * n,
            high=(60.0,) * n,
        )

    def with_policy(self, file):
        return self.model_copy(update={"policy": file})

    def serve(self, request, cluster, placement):
        if self.policy is not None:
            cluster = Deciding(cluster, Policy.load(self.policy))
        yield from super().serve(request, cluster, placement)


class Deciding:
    """A cluster whose decisions are a policy's."""

    def __init__(self, cluster, policy):
        self._cluster, self._policy = cluster, policy

    def __getattr__(self, name):
        return getattr(self._cluster, name)

    def ask(self, name, seen, choose, **facts):
        return self._cluster.ask(name, seen, lambda: self._policy.act(seen, facts["allowed"]), **facts)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    load, found = plugins.load, plugins.discover
    known = {"asking": Trainable, "plain": Asking}
    monkeypatch.setattr(plugins, "load", lambda group, name: known.get(name) or load(group, name))
    monkeypatch.setattr(plugins, "discover", lambda group: found(group) | known)
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(trained_policies, "_N_ARRIVALS", 10)


def devices_of(prepared, folder: Path) -> set[str]:
    spans = runner.run(prepared, folder).spans("asking", 0)
    return set(spans[spans["kind"] == "compute"]["device"])


def test_it_is_trained_before_time_zero_and_runs_its_policy(tmp_path, monkeypatch):
    taught = Taught(n_actions=3, action=2)
    monkeypatch.setattr(teaching, "train_decision", taught)
    scenario = parse(text())
    prepared = runner.prepare(scenario, trainer=teaching.trainer())
    assert [asked.observations for asked in taught.asked] == [NAMES]
    assert not prepared.strategies["asking"].needs_training
    assert devices_of(prepared, tmp_path / "one") == {"far"}
    # From now on without what trains.
    again = runner.prepare(scenario)
    assert again.policies == prepared.policies
    assert len(taught.asked) == 1


def test_contents_of_files_that_options_name_are_trained_on_and_their_names_are_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def digest(**options):
        given = "".join(f", {name}: {value}" for name, value in options.items())
        known = parse(text().replace("silent: false", "silent: false" + given), folder=tmp_path)
        return runner.lesson(runner.prepare(known), "asking").digest

    for name, contents in (("one.csv", "1"), ("same.csv", "1"), ("two.csv", "2"), ("plain", "1")):
        (tmp_path / name).write_text(contents)
    one = digest(table="one.csv")
    assert one == digest(table="same.csv")
    assert one != digest(table="two.csv")
    (tmp_path / "one.csv").write_text("3")
    assert one != digest(table="one.csv")
    # What is declared as a path needs no ending; the option of the policy itself counts for nothing.
    plain = digest(notes="plain")
    (tmp_path / "plain").write_text("2")
    (tmp_path / "one").write_text("2")
    assert plain != digest(notes="plain")


def test_a_device_that_is_called_as_a_file_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def digest():
        named = text().replace("silent: false", "silent: false, table: box")
        return runner.lesson(runner.prepare(parse(named, folder=tmp_path)), "asking").digest

    before = digest()
    for name in ("phone", "box", "far"):
        (tmp_path / name).write_text("1")
    assert digest() == before


def test_contents_of_files_of_the_world_are_trained_on(tmp_path, monkeypatch):
    def digest():
        known = parse(
            text().replace("wired: {rate: 50 Mbit/s, latency: 5 ms}", "recorded: {file: rate.csv}"),
            folder=tmp_path,
        )
        return runner.lesson(runner.prepare(known), "asking").digest

    digests = set()
    for rate in (5, 6, 5):
        (tmp_path / "rate.csv").write_text(f"t,rate_mbps\n0,{rate}\n1000,{rate}\n")
        digests.add(digest())
    assert len(digests) == 2


def test_untrained_it_can_be_placed_and_is_refused_to_run(tmp_path):
    prepared = runner.prepare(parse(text()))
    assert prepared.placements["asking"].devices == ("phone", "box", "far")
    with pytest.raises(StrategyError, match="'asking' needs training, and no policy trained for exactly"):
        runner.run(prepared, tmp_path / "trace")
    assert not (tmp_path / "trace").exists()


def test_one_without_hooks_says_so():
    prepared = runner.prepare(parse(text().replace("use: asking", "use: plain")))
    with pytest.raises(StrategyError, match=r"no decision that can be trained; expected .* 'training'"):
        runner.lesson(prepared, "plain")
    with pytest.raises(StrategyError, match="with_policy"):
        prepared.strategies["plain"].with_policy(Path("it"))


@pytest.mark.parametrize("ends", [{}, {"horizon": "300 ms", "n_requests": None}])
def test_what_is_judged_is_the_mean_utility_of_its_requests(ends):
    """Against plain runs of the same replications, by the table of requests that count."""
    from edgesim.engine.simulation import simulate
    from edgesim.gym.decision_judging import judge

    lesson = runner.lesson(runner.prepare(parse(text(**ends))), "asking")
    policy = Taught(n_actions=3, action=1)(lesson.prepared, "asking", lesson.training).policy
    judged = judge(lesson.prepared, "asking", lesson.training, policy, n_replications=2)
    assert np.array_equal(judged.policy, judged.constant[1])
    own = lesson.prepared
    for column, replication in enumerate((1 << 31, (1 << 31) + 1)):
        tables = {}
        world = own.world(replication)
        strategy = Asking()  # which takes the phone
        simulate(
            world, strategy, own.placements["asking"], own.placements["asking"].holdings, tables.__setitem__
        )
        requests = tables["requests"].to_pandas()
        counted = requests[requests["arrived_at_s"] < (world.horizon_s or np.inf)]
        assert (len(counted) < len(requests)) is bool(ends)
        took_s = (counted["ended_at_s"] - counted["arrived_at_s"]).mean()
        assert judged.constant[0, column] == pytest.approx(-took_s)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observations": ()}, "at least one name"),
        ({"observations": ("a", "a")}, "each once"),
        ({"low": (0.0,)}, "one of each"),
        ({"high": (0.0, 1.0)}, "increasing"),
        ({"utility": Utility(load=1.0)}, "load_of"),
    ],
)
def test_what_cannot_be_learned_is_refused(change, message):
    facts = {"decision": "x", "utility": Utility(), "observations": ("a", "b"), "low": (0, 0), "high": (1, 1)}
    with pytest.raises(InputError, match=message):
        Training(**(facts | change))

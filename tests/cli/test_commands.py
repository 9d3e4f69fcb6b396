from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from edgesim.report.comparison import comparison
from edgesim.trace.reader import Trace

ANALYTIC = ("--set", "profile=analytic")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("part-*.parquet"))}


def test_a_run_prints_the_comparison_and_leaves_a_lawful_trace(edgesim, tmp_path: Path) -> None:
    said = edgesim("run", "first_steps", *ANALYTIC, "--out", tmp_path / "trace")
    assert said.status == 0
    for label in ("local", "offload", "pipeline"):
        assert label in said.out
    trace = Trace(tmp_path / "trace")
    assert trace.is_complete
    assert trace.strategies == ("local", "offload", "pipeline")
    assert trace.replications("local") == (0, 1, 2)
    assert trace.check() == []


def test_same_seed_same_bytes_for_any_number_of_processes(edgesim, tmp_path: Path) -> None:
    for name, jobs in (("once", 1), ("again", 1), ("shared", 2)):
        assert edgesim("run", "first_steps", *ANALYTIC, "--out", tmp_path / name, "--jobs", jobs).status == 0
    once = contents(tmp_path / "once")
    assert len(once) == 3 * 3 * 3  # tables, strategies, replications
    assert contents(tmp_path / "again") == once
    assert contents(tmp_path / "shared") == once
    assert edgesim("run", "first_steps", *ANALYTIC, "--out", tmp_path / "other", "--seed", 2).status == 0
    assert contents(tmp_path / "other") != once


def test_json_is_valid_and_the_only_thing_on_standard_output(edgesim, tmp_path: Path) -> None:
    said = edgesim("run", "first_steps", *ANALYTIC, "--out", tmp_path / "trace", "--json")
    told = json.loads(said.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert told["trace"] == str(tmp_path / "trace")


def test_quiet_says_nothing_but_the_table(edgesim, tmp_path: Path) -> None:
    assert edgesim("run", "first_steps", *ANALYTIC, "--out", tmp_path / "trace", "--quiet").err == ""


def test_the_default_folder_is_numbered_so_that_nothing_is_lost(
    edgesim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert edgesim("run", "first_steps", *ANALYTIC, "--replications", 1).status == 0
    assert sorted(p.name for p in (tmp_path / "traces").iterdir()) == ["first-steps", "first-steps-2"]


@contextmanager
def begun(command: list[str], out: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has written four replications; none of its processes is left behind."""
    # A shell that runs the tests in the background has them ignore SIGINT, and their children with them.
    listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=listening
    )
    try:
        deadline_s = time.monotonic() + 120
        while len(list(out.glob("devices/strategy=*/replication=*/part-*.parquet"))) < 4:
            assert process.poll() is None, "the run ended before it could be stopped"
            assert time.monotonic() < deadline_s, "the run wrote nothing"
            time.sleep(0.02)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_run_killed_in_the_middle_leaves_a_trace_that_reads_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "trace"
    command = [sys.executable, "-m", "edgesim", "run", "first_steps", *ANALYTIC, "--out", str(out)]
    with begun([*command, "--replications", "2000"], out) as process:
        process.send_signal(signal.SIGKILL)
    trace = Trace(out)
    assert not trace.is_complete
    assert trace.run["status"] == "running"
    assert sum(len(trace.replications(s)) for s in trace.strategies) >= 4
    (sentence,) = trace.check()  # what is there is sound
    assert "found running, expected complete" in sentence
    assert comparison(trace).rows[0].replications[0] == 0


def test_check_tells_where_the_model_would_be_placed(edgesim) -> None:
    said = edgesim("check", "smart_city", *ANALYTIC)
    assert said.status == 0
    assert "is valid" in said.out
    assert "roadside-2" in said.out


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("strategies", ["local", "offload", "pipeline"]),
        ("devices", ["raspberry-pi-5", "jetson-agx-orin"]),
        ("models", ["tinyllama-1.1b", "llama-2-7b", "gpt2", "nanollama-304m"]),
        ("scenarios", ["smart_city", "first_steps"]),
    ],
)
def test_list(what: str, expected: list[str], edgesim) -> None:
    said = edgesim("list", what)
    assert said.status == 0
    for name in expected:
        assert name in said.out


def test_schema_is_json_and_knows_the_strategies(edgesim) -> None:
    told = json.loads(edgesim("schema").out)
    assert "pipeline" in json.dumps(told["$defs"]["StrategyEntry"])


@pytest.mark.parametrize("words", [["--help"], ["check", "first_steps", *ANALYTIC], ["list", "strategies"]])
def test_torch_is_not_imported_where_nothing_is_measured(words: list[str]) -> None:
    code = (
        "import sys; from edgesim.cli import main; sys.argv = ['edgesim', *sys.argv[1:]]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_all_metrics_are_there_for_study(edgesim, tmp_path: Path) -> None:
    said = edgesim("run", "first_steps", *ANALYTIC, "--out", tmp_path / "trace", "--metrics")
    for words in ("TTFT p99, ms", "ITL mean, ms", "goodput, requests/s", "utilisation of phone"):
        assert words in said.out


def test_an_earlier_runs_profile_is_not_taken_for_this_ones(edgesim, tmp_path: Path) -> None:
    """Workers are told whether there is a profile; they do not guess from what lies about."""
    out = tmp_path / "trace"
    assert edgesim("run", "first_steps", *ANALYTIC, "--replications", 1, "--out", out).status == 0
    once = contents(out)
    (out / "profile.parquet").write_bytes(b"of another run")
    said = edgesim(
        "run", "first_steps", *ANALYTIC, "--replications", 1, "--out", out, "--replace", "--jobs", 2
    )
    assert said.status == 0, said.err
    assert contents(out) == once
    assert not (out / "profile.parquet").exists()


def test_ctrl_c_stops_a_run_that_is_shared_by_processes(tmp_path: Path) -> None:
    out = tmp_path / "trace"
    command = [sys.executable, "-m", "edgesim", "run", "first_steps", *ANALYTIC, "--out", str(out)]
    command += ["--replications", "5000", "--jobs", "2"]
    with begun(command, out) as process:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    n_whole = len(list(out.glob("devices/strategy=*/replication=*/part-*.parquet")))
    assert n_whole < 15_000
    assert not Trace(out).is_complete


@pytest.mark.parametrize("words", [["run", "first_steps", *ANALYTIC, "--out"], ["schema", "-o"]])
def test_a_place_that_cannot_be_written_is_told(words: list[str], edgesim, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = edgesim(*words, tmp_path / "file" / "under")
    assert said.status == 2
    assert "cannot be written" in said.err or "in the way" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "serving",
    [
        "processor-sharing",
        "static",
        "{static: {max_batch: 4, max_wait: 50 ms}}",
        "{continuous: {max_batch: 4}}",
        "{continuous: {max_batch: 4, queue_limit: 100, patience: 1 h}}",
    ],
)
def test_serving_disciplines_from_a_scenario(serving: str, edgesim, tmp_path: Path) -> None:
    said = edgesim(
        "run", "first_steps", *ANALYTIC, "--replications", 1, "--out", tmp_path / "trace",
        "--set", f"topology.devices.box.serving={serving}", "--set", "workload.arrivals.poisson='8 Hz'",
    )  # fmt: skip
    assert said.status == 0, said.err
    trace = Trace(tmp_path / "trace")
    assert trace.check() == []
    told = trace.devices("offload", 0).set_index("device")["serving"].to_dict()
    assert told["phone"] == "fifo"
    assert told["box"] != "fifo"


STAGES = """\
name: stages
model: {{architecture: tinyllama-1.1b, dtype: float16}}
profile: analytic
topology:
  devices:
    - {{id: hub, kind: raspberry-pi-5, serving: {hub}}}
    - {{id: pi, kind: raspberry-pi-5, serving: {pi}}}
  links:
    - {{between: [hub, pi], wired: {{rate: 1 Gbit/s, latency: 0.1 ms}}}}
workload:
  sources: hub
  arrivals: {{bursts: {{requests: 2, every: 10 s}}}}
  requests: 2
  prompt_tokens: 20
  output_tokens: 5
strategies:
  - {{use: pipeline, partition: even}}
"""


@pytest.mark.parametrize(
    ("hub", "pi", "told"),
    [
        ("static", "static", "at most one stage with 'static'"),
        ("static", "continuous", "give 'pi' 'continuous: {cache: reserve}'"),
        ("static", "{continuous: {cache: reserve}}", None),
        ("continuous", "continuous", None),
    ],
)
def test_stages_that_would_wait_for_one_another_are_refused_before_time_zero(
    hub: str, pi: str, told: str | None, edgesim, tmp_path: Path
) -> None:
    file = tmp_path / "stages.yaml"
    file.write_text(STAGES.format(hub=hub, pi=pi))
    said = edgesim("run", file, "--out", tmp_path / "trace")
    assert said.status == (0 if told is None else 2), said.err
    assert told is None or told in " ".join(said.err.split())
    assert (tmp_path / "trace").exists() == (told is None)


def test_an_unknown_discipline_is_told(edgesim) -> None:
    said = edgesim("check", "first_steps", *ANALYTIC, "--set", "topology.devices.box.serving=contineous")
    assert said.status == 2
    assert "continuous" in said.err


def test_a_run_tells_how_wrong_its_analog_sums_were(edgesim, tmp_path: Path) -> None:
    changes = [
        "workload.requests=1",
        "workload.output_tokens=2",
        "quality=null",
        "topology.links[0].over_the_air.antennas={station: 1, terminal: 1}",
        "strategies.aircomp-2.transceiver=channel-inversion",
    ]
    words = [word for change in changes for word in ("--set", change)]
    words += ["--strategy", "aircomp-2", "--replications", "2", "--quiet", "--out", str(tmp_path / "trace")]
    said = edgesim("run", "aircomp_llama2", *words)
    assert said.status == 0, said.err
    assert "aircomp-2: error of a sum, median over requests " in said.out
    assert "no mean: with channel-inversion the error is proportional to the inverse gain" in said.out
    told = json.loads(edgesim("run", "aircomp_llama2", *words, "--replace", "--json").out)
    assert told["sum_errors"]["aircomp-2"]["mean"] is None
    assert told["sum_errors"]["aircomp-2"]["low"] <= told["sum_errors"]["aircomp-2"]["median"]

"""Every kind of bad input: one clear message, exit status 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

GOOD = """\
name: good
profile: analytic
model: {architecture: gpt2, dtype: float32}
topology:
  devices:
    - {id: user, kind: raspberry-pi-5}
    - {id: server, kind: rtx-3090}
  links:
    - {between: [user, server], wired: {rate: 100 Mbit/s, latency: 1 ms}}
workload:
  sources: user
  arrivals: {poisson: 1 Hz}
  prompt_tokens: 8
  output_tokens: 4
  requests: 5
strategies:
  - {use: local}
"""

SERVER = "    - {id: server, kind: rtx-3090}"

# What is wrong, how the good scenario is spoilt, and what the message must say (where, found, expected).
CASES = {
    "bad unit": (("rate: 100 Mbit/s", "rate: 100 MHz"), ["bad.yaml:9:", "rate", "100 MHz", "Mbit/s"]),
    "bare number": (("rate: 100 Mbit/s", "rate: 100"), ["bad.yaml:9:", "rate", "got 100", "such as"]),
    "unknown key": (("prompt_tokens", "promt_tokens"), ["bad.yaml:13:", "promt_tokens", "prompt_tokens"]),
    "unknown strategy": (("{use: local}", "{use: lcal}"), ["bad.yaml:17:", "lcal", "did you mean 'local'"]),
    "unknown option": (
        ("{use: local}", "{use: offload, too: server}"),
        ["bad.yaml:17:", "too", "did you mean 'to'"],
    ),
    "model too large": (
        ("architecture: gpt2, dtype: float32", "architecture: llama-2-7b, dtype: float32"),
        ["strategy 'local'", "'user'", "26.95 GB", "fewer blocks"],
    ),
    "unreachable device": (
        (SERVER, SERVER + "\n    - {id: far, kind: rtx-3090}"),
        ["bad.yaml:", "'user'", "'far'", "add a link"],
    ),
    "unknown device in a strategy": (
        ("{use: local}", "{use: offload, to: sever}"),
        ["strategy 'offload'", "'sever'", "did you mean 'server'"],
    ),
    "empty topology": (
        (GOOD[GOOD.index("  devices:") : GOOD.index("workload:")], "  devices: []\n"),
        ["bad.yaml:", "topology", "at least one"],
    ),
    "negative rate": (("rate: 100 Mbit/s", "rate: -100 Mbit/s"), ["bad.yaml:9:", "rate", "-100 Mbit/s"]),
    "missing profile": (("profile: analytic", "profile: nowhere.pq"), ["bad.yaml:2:", "nowhere", "measure"]),
    "not YAML": (("name: good", "name: [good"), ["bad.yaml:", "not YAML"]),
    "unknown model": (("architecture: gpt2", "architecture: gpt3"), ["bad.yaml:3:", "gpt3", "gpt2"]),
    "unknown device kind": (("kind: rtx-3090", "kind: rtx-3080"), ["bad.yaml:7:", "rtx-3080", "rtx-3090"]),
    "no end": (("  requests: 5\n", ""), ["bad.yaml", "never end", "horizon"]),
    "a warm-up that leaves nothing": (
        ("profile: analytic", "profile: analytic\nwarmup: 1 h"),
        ["$.warmup", "3600 s", "shorten 'warmup'"],
    ),
    "a request longer than the context": (
        ("prompt_tokens: 8", "prompt_tokens: 2000"),
        ["bad.yaml:", "context", "1024"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_bad_input_gets_one_clear_message_and_status_2(
    kind: str, edgesim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (old, new), expected = CASES[kind]
    assert old in GOOD
    Path("bad.yaml").write_text(GOOD.replace(old, new))
    said = edgesim("run", "bad.yaml")
    assert said.status == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    assert len(said.err.strip().splitlines()) == 1, said.err
    for words in expected:
        assert words in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"], "something was written"


def test_the_good_scenario_is_good(edgesim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the cases above would prove nothing."""
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(GOOD)
    said = edgesim("run", "good.yaml")
    assert said.status == 0, said.err
    assert "local" in said.out


def test_several_mistakes_are_all_told_a_line_each(edgesim, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(GOOD.replace("100 Mbit/s", "100").replace("{poisson: 1 Hz}", "{poison: 1 Hz}"))
    said = edgesim("check", file)
    assert said.status == 2
    assert [line.split(":")[1] for line in said.err.strip().splitlines()] == ["9", "12"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "no_such_scenario"], ["no_such_scenario", "smart_city"]),
        (["run", "first_steps", "--set", "profile=analytic", "--set", "sed=3"], ["--set", "sed", "seed"]),
        (["run", "first_steps", "--set", "profile=analytic", "--strategy", "lokal"], ["lokal", "local"]),
        (["run", "first_steps", "--set", "profile=analytic", "--jobs", "0"], ["jobs"]),
        (["profile", "gpt5"], ["gpt5"]),
        (["profile", "gpt2", "--budget", "60"], ["--budget", "60", "such as"]),
        (["profile", "gpt2", "--dtype", "int3"], ["int3", "float32"]),
        (["profile", "gpt2", "--device", "tpu"], ["tpu", "cuda"]),
        (["list", "planets"], ["planets", "strategies"]),
    ],
)
def test_bad_words_on_the_command_line(
    words: list[str], expected: list[str], edgesim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = edgesim(*words)
    assert said.status == 2
    assert "Traceback" not in said.err
    for word in expected:
        assert word in said.err
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_never_overwritten(edgesim, tmp_path: Path) -> None:
    kept = tmp_path / "mine" / "thesis.txt"
    kept.parent.mkdir()
    kept.write_text("years of work")
    analytic = ("--set", "profile=analytic", "--replications", "1")
    for words in ((), ("--replace",)):
        said = edgesim("run", "first_steps", *analytic, "--out", kept.parent, *words)
        assert said.status == 2
        assert str(kept.parent) in said.err
    assert kept.read_text() == "years of work"


def test_an_earlier_trace_is_replaced_only_when_asked(edgesim, tmp_path: Path) -> None:
    out = tmp_path / "trace"
    analytic = ("--set", "profile=analytic", "--replications", "1")
    assert edgesim("run", "first_steps", *analytic, "--out", out).status == 0
    assert edgesim("run", "first_steps", *analytic, "--out", out).status == 2
    said = edgesim("run", "first_steps", *analytic, "--out", out, "--replace", "--strategy", "local")
    assert said.status == 0
    assert [p.name for p in (out / "requests").iterdir()] == ["strategy=local"]

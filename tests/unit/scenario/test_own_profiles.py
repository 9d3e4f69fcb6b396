"""A profile measured on a device itself wins over scaling, wherever it is named or dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from small_models import GPT2, handmade_profile

from edgesim.errors import ProfileError, ScenarioError
from edgesim.measure.grid import Grid
from edgesim.model.architecture import Architecture, Slice
from edgesim.model.profile import Profile, Timing
from edgesim.model.scaling import AnalyticTiming, ScaledTiming
from edgesim.scenario import timings as charging
from edgesim.scenario.build import build_world, extent, resolve
from edgesim.scenario.catalogue import model
from edgesim.scenario.coverage import Coverage
from edgesim.scenario.load import parse
from edgesim.scenario.schema.scenario import Scenario
from edgesim.scenario.timings import Profiles, check_coverage, find_profiles, timings
from edgesim.workload.requests import Extent

PI, BOX = "raspberry-pi-5", "jetson-orin-nano"
MODEL = model("gpt2").architecture("float32")
MEASURED = handmade_profile(MODEL)
DECODE = {"batch": 1, "n_new": 1, "n_context": 16}

Read = Callable[..., Scenario]


@pytest.fixture
def read(minimal: str, tmp_path: Path) -> Read:
    """Read the small scenario with overrides, from a folder of its own; without measuring this machine."""

    def call(*overrides: str, old: str = "", new: str = "") -> Scenario:
        text = minimal.replace(old, new, 1) if old else minimal
        return parse(text + "profile: analytic\n", folder=tmp_path, overrides=overrides)

    return call


def charged(scenario: Scenario) -> tuple[Profiles, dict[str, Timing]]:
    profiles = find_profiles(scenario, extent(scenario))
    check_coverage(scenario, profiles, extent(scenario))
    return profiles, timings(scenario, profiles)


def seconds(timing: Timing) -> float:
    return float(timing.seconds(MODEL.whole, **DECODE))


MEASURED_S = seconds(MEASURED.timing())


def test_a_stamped_profile_dropped_beside_the_scenario_is_charged_as_measured(
    read: Read, tmp_path: Path
) -> None:
    (tmp_path / "profiles").mkdir()
    MEASURED.stamped(PI).save(tmp_path / "profiles" / "any-name.parquet")
    profiles, told = charged(read())
    assert list(profiles.own) == [PI]
    assert (told[PI].origin, seconds(told[PI])) == ("measured", MEASURED_S)
    assert isinstance(told[BOX], AnalyticTiming)


def test_others_are_scaled_from_the_base_all_the_same(read: Read, tmp_path: Path) -> None:
    MEASURED.stamped(PI).save(tmp_path / "pi.parquet")
    faster = replace(MEASURED, ceilings=replace(MEASURED.ceilings, bytes_per_s=5e9))
    faster.save(tmp_path / "host.parquet")
    _, told = charged(read("profile=host.parquet", "profiles=pi.parquet"))
    assert seconds(told[PI]) == MEASURED_S
    assert isinstance(told[BOX], ScaledTiming)
    assert told[BOX].profile == faster


def test_a_base_profile_that_says_its_kind_is_that_kinds_own(read: Read, tmp_path: Path) -> None:
    MEASURED.stamped(PI).save(tmp_path / "pi.parquet")
    _, told = charged(read("profile=pi.parquet"))
    assert (told[PI].origin, told[BOX].origin) == ("measured", "scaled")


@pytest.mark.parametrize(
    ("where", "charged_so"),
    [("topology.devices.phone.profile", f"{PI} (phone)"), (f"kinds.{PI}.profile", PI)],
)
def test_an_entry_or_a_kind_names_its_own_without_a_stamp(
    where: str, charged_so: str, read: Read, tmp_path: Path, minimal: str
) -> None:
    MEASURED.save(tmp_path / "mine.parquet")
    other = handmade_profile(Architecture.from_config(GPT2, name="small-gpt2", dtype="float32"))
    other.save(tmp_path / "other.parquet")
    own_kind = (
        f"kinds:\n  {PI}:\n    memory: 8 GB\n    process_memory: 1 GB\n"
        "    power: {idle: 1 W, active: 1 W, tx: 0 W, rx: 0 W}\n    endpoint: {overhead: 1 ms}\nmodel:"
    )
    changes = {"old": "model:", "new": own_kind} if where.startswith("kinds") else {}
    _, told = charged(read(f"{where}=[other.parquet, mine.parquet]", **changes))
    assert (told[charged_so].origin, seconds(told[charged_so])) == ("measured", MEASURED_S)


def test_a_device_may_have_its_own_beside_others_of_its_kind(read: Read, tmp_path: Path) -> None:
    slower = replace(MEASURED, points=tuple(replace(p, median_s=2 * p.median_s) for p in MEASURED.points))
    slower.save(tmp_path / "slower.parquet")
    scenario = read("topology.devices.box.kind=raspberry-pi-5", "topology.devices.box.profile=slower.parquet")
    _, told = charged(scenario)
    devices = build_world(scenario, 0, told).devices
    assert {id_: device.origin for id_, device in devices.items()} == {
        "phone-0": "analytic", "phone-1": "analytic", "box": "measured",
    }  # fmt: skip
    assert devices["box"].kind == PI
    assert seconds(told[f"{PI} (box)"]) == pytest.approx(2 * MEASURED_S)


def test_this_machine_is_not_measured_where_nothing_is_scaled(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*_: object, **__: object) -> Profile:
        pytest.fail("there was nothing to measure for")

    monkeypatch.setattr(charging, "ensure_profile", measure)
    for kind in (PI, BOX):
        MEASURED.stamped(kind).save(tmp_path / f"{kind}.parquet")
    profiles, told = charged(read("profile=auto", "profiles=."))
    assert profiles.base is None
    assert {timing.origin for timing in told.values()} == {"measured"}


def test_quantised_weights_are_scaled_even_from_a_devices_own_profile(read: Read, tmp_path: Path) -> None:
    MEASURED.stamped(PI).save(tmp_path / "pi.parquet")
    _, told = charged(read("profiles=pi.parquet", "model.weights=q40"))
    assert isinstance(told[PI], ScaledTiming)
    assert (told[PI].origin, told[PI].target) == ("scaled", MEASURED.ceilings)
    assert seconds(told[PI]) < MEASURED_S


def test_a_profile_of_another_model_is_told_where_it_was_named(read: Read, tmp_path: Path) -> None:
    MEASURED.save(tmp_path / "mine.parquet")
    with pytest.raises(
        ProfileError,
        match=r"none of the profiles of 'raspberry-pi-5 \(phone\)' is of gpt2 in bfloat16: mine.parquet is a "
        r"profile of gpt2 in float32, measured on a processor, 2 threads. Measure one there",
    ):
        charged(read("topology.devices.phone.profile=mine.parquet", "model.dtype=bfloat16"))


def test_in_a_folder_profiles_of_other_models_and_kinds_are_left_alone(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "profiles"
    folder.mkdir()
    MEASURED.save(folder / "of-no-kind.parquet")
    MEASURED.stamped("phone").save(folder / "of-another-kind.parquet")
    other = model("gpt2").architecture("bfloat16")
    handmade_profile(other).stamped(PI).save(folder / "of-another-format.parquet")
    profiles, _ = charged(read())
    assert profiles.own == {}


def test_of_several_the_latest_that_is_long_enough_counts(read: Read, tmp_path: Path) -> None:
    short = tuple(p for p in MEASURED.points if p.n_new < 16)
    for name, day, changes in (
        ("a", "2026-01-03", {"points": short}),
        ("b", "2026-01-02", {}),
        ("c", "2026-01-01", {}),
    ):
        replace(MEASURED.stamped(PI), measured_at=day, **changes).save(tmp_path / f"{name}.parquet")
    profiles, _ = charged(read("profiles=."))
    assert profiles.own[PI].measured_at == "2026-01-02"


def test_profiles_measured_in_different_ways_are_the_users_to_choose_from(read: Read, tmp_path: Path) -> None:
    MEASURED.stamped(PI).save(tmp_path / "two.parquet")
    replace(MEASURED.stamped(PI), threads=4).save(tmp_path / "four.parquet")
    with pytest.raises(ProfileError, match=r"several profiles.*four.parquet with 4 threads.*Name the one"):
        charged(read("profiles=[two.parquet, four.parquet]"))


def test_one_that_is_too_short_is_an_error_that_says_what_it_holds(read: Read, tmp_path: Path) -> None:
    MEASURED.stamped(PI).save(tmp_path / "pi.parquet")
    with pytest.raises(
        ProfileError,
        match=r"device kind 'raspberry-pi-5' takes its times from a profile of gpt2 in float32, measured on "
        r"raspberry-pi-5 \(a processor, 2 threads\): .* new tokens = 100, but it was measured from 1 to 64",
    ):
        charged(read("profiles=pi.parquet", "workload.prompt_tokens=100"))


def test_a_name_that_stands_for_nothing_is_told_with_its_line(read: Read) -> None:
    for override in (
        "profiles=nowhere",
        "topology.devices.box.profile=nowhere",
        "profile=nowhere",
    ):
        with pytest.raises(ScenarioError, match=r"no profile file.*'nowhere'; measure one"):
            read(override)


def test_a_number_format_without_ceilings_is_no_matter_where_it_was_measured(
    read: Read, tmp_path: Path
) -> None:
    own = handmade_profile(model("gpt2").architecture("float16"))
    own.save(tmp_path / "half.parquet")
    kind = (
        "kinds:\n  odd:\n    memory: 8 GB\n    process_memory: 1 GB\n    memory_bandwidth: 2 GB/s\n"
        "    compute: {float32: 3 GFLOP/s}\n    overhead_per_call: 1 ms\n"
        "    power: {idle: 1 W, active: 1 W, tx: 0 W, rx: 0 W}\n    endpoint: {overhead: 1 ms}\nmodel:"
    )
    changes = {"old": "model:", "new": kind}
    overrides = ("topology.devices.box.kind=odd", "model.dtype=float16")
    with pytest.raises(ScenarioError, match="kind 'odd' has no compute rate for float16"):
        read(*overrides, **changes)
    _, told = charged(read(*overrides, "kinds.odd.profile=half.parquet", **changes))
    assert told["odd"].origin == "measured"


# --- what a profile must cover -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("serving", "expected"),
    [
        ("fifo", Coverage(16, 23)),
        ("processor-sharing", Coverage(16, 23)),
        ("{static: {max_batch: 6}}", Coverage(16, 23, batch=6, prefill_batch=6)),
        ("{continuous: {max_batch: 6, cache: reserve}}", Coverage(16, 23, batch=6)),
        ("{continuous: {max_batch: 6}}", Coverage(24, 23, batch=6)),  # preempted: all tokens once more
    ],
)
def test_disciplines_ask_for_batches_of_steps_or_of_prompts_too(
    serving: str, expected: Coverage, read: Read
) -> None:
    scenario = read(f"topology.devices.box.serving={serving}")
    told = charging._coverages(
        resolve(scenario).layout, Extent(n_requests=1, n_prompt_tokens=16, n_output_tokens=8, n_tokens=24)
    )
    assert told[BOX] == expected
    assert told[PI] == Coverage(expected.max_new, 23)


def test_in_a_static_batch_the_longest_prompt_pads_the_longest_answer(read: Read) -> None:
    """A prompt of 16 with 1 token to answer beside a prompt of 4 with 12: contexts up to 16 + 11."""
    longest = Extent(n_requests=2, n_prompt_tokens=16, n_output_tokens=12, n_tokens=17)
    for serving, max_context in (("{static: {max_batch: 6}}", 27), ("{static: {max_batch: 1}}", 16)):
        told = charging._coverages(resolve(read(f"topology.devices.box.serving={serving}")).layout, longest)
        assert told[BOX].max_context == max_context


def test_continuous_batching_measures_no_prompts_in_batches() -> None:
    grid = Coverage(100, 200, batch=6).grid(MODEL)
    assert (grid.batches, grid.prefill_batches) == ((1, 2, 4, 6), (1,))
    static = Coverage(100, 200, batch=6, prefill_batch=6).grid(MODEL)
    assert (static.batches, static.prefill_batches) == ((1, 2, 4, 6), (1, 2, 4, 6))
    assert Coverage(100, 200).grid(MODEL) == Grid.covering(100, 201).within(MODEL)


@pytest.mark.parametrize(
    ("needed", "missing"),
    [
        (Coverage(64, 64, batch=4), None),
        (Coverage(64, 64, batch=5), "decode with batch size = 5"),
        (Coverage(64, 64, batch=4, prefill_batch=2), "prefill with batch size = 2"),
        (Coverage(100, 64, batch=4), "prefill with new tokens = 100"),
    ],
)
def test_what_is_missing_is_known_before_time_zero(needed: Coverage, missing: str | None) -> None:
    timing = only_decoding_in_batches().timing()
    if missing is None:
        needed.check(timing)
        return
    with pytest.raises(ProfileError, match=missing):
        needed.check(timing)


def test_one_token_prompts_in_a_batch_are_charged_as_decode_steps() -> None:
    """Continuous batching takes them for what they are; no profile has prompts in such batches."""
    timing = only_decoding_in_batches().timing()
    part = Slice(0, 12)
    together = timing.seconds(part, batch=4, n_new=1, n_context=0)
    assert float(together) == pytest.approx(float(timing.seconds(part, batch=4, n_new=1, n_context=1)))
    alone = timing.seconds(part, batch=1, n_new=1, n_context=0)
    assert float(alone) == pytest.approx(
        float(handmade_profile(MODEL).timing().seconds(part, batch=1, n_new=1, n_context=0))
    )
    with pytest.raises(ProfileError, match=r"prefill with batch size = 4.*--prefill-batch"):
        timing.seconds(part, batch=4, n_new=2, n_context=0)


def only_decoding_in_batches() -> Profile:
    full = handmade_profile(MODEL, batches=(1, 4))
    kept = tuple(
        p for p in full.points if p.batch == 1 or p.phase.value == "decode" or p.component.value == "step"
    )
    return replace(full, points=kept)

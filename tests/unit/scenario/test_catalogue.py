"""The catalogue: complete, sourced, and in agreement with the measurements it derives figures from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edgesim.errors import ScenarioError
from edgesim.model.architecture import DTYPE_BYTES
from edgesim.model.calibration import Measurement
from edgesim.model.scaling import AnalyticTiming
from edgesim.model.weights import WEIGHT_FORMATS
from edgesim.scenario import catalogue
from edgesim.scenario.schema.device_kinds import DeviceKind, Figure
from edgesim.scenario.text.section import Section


def figures(section: Section, path: str = "") -> Iterator[tuple[str, Figure[float]]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Figure):
            yield f"{path}{name}", value
        elif isinstance(value, Section):
            yield from figures(value, f"{path}{name}.")


@pytest.mark.parametrize("kind", catalogue.device_kinds().values(), ids=catalogue.device_kinds())
def test_every_figure_has_a_source_and_every_kind_a_description(kind: DeviceKind) -> None:
    assert kind.description
    for path, figure in figures(kind):
        assert len(figure.source) > 10, f"{path}: a datasheet, a paper, or how the figure was derived"


@pytest.mark.parametrize("kind", catalogue.device_kinds().values(), ids=catalogue.device_kinds())
def test_every_kind_can_be_charged_in_every_number_format(kind: DeviceKind) -> None:
    for dtype in DTYPE_BYTES:
        assert kind.is_profiled_host == (kind.ceilings(dtype) is None)
    assert kind.process_bytes.value < kind.memory_bytes.value


def test_the_profiled_host_is_the_only_kind_without_ceilings() -> None:
    assert [name for name, kind in catalogue.device_kinds().items() if kind.is_profiled_host] == [
        "profiled-host"
    ]


@pytest.mark.parametrize(
    ("name", "n_parameters"),
    [
        ("tinyllama-1.1b", 1_100_048_384),  # of the checkpoint on the Hugging Face Hub
        ("llama-2-7b", 6_738_415_616),  # of the checkpoint on the Hugging Face Hub
        ("gpt2", 124_439_808),  # of the checkpoint on the Hugging Face Hub
    ],
)
def test_models_have_as_many_parameters_as_their_checkpoints(name: str, n_parameters: int) -> None:
    assert catalogue.model(name).architecture("float32").n_parameters == n_parameters


def test_nanollama_has_the_304_million_parameters_of_its_paper() -> None:
    assert int(catalogue.model("nanollama-304m").architecture("float32").n_parameters / 1e6) == 304


def test_the_tiny_model_is_tiny() -> None:
    assert catalogue.model("edgesim-tiny").architecture("float32").n_parameters < 6e6


def published(model: str, seconds: float, n_prompt: int, n_output: int, weights: str = "") -> Measurement:
    return Measurement(
        model=catalogue.model(model).architecture("float32"),
        phase="decode",
        n_prompt_tokens=n_prompt,
        n_output_tokens=n_output,
        seconds=seconds,
        bytes_per_weight=WEIGHT_FORMATS.get(weights),
    )


DERIVED_BANDWIDTHS = {
    "raspberry-pi-5": published("llama-2-7b", 0.435, 16, 64, "q40"),  # distributed-llama, one node
    "raspberry-pi-4b": published("llama-2-7b", 1.308, 16, 64, "q40"),  # distributed-llama, one node
    "jetson-agx-orin": published("llama-2-7b", 0.14034, 32, 96),  # EdgeShard, edge-solo
    "jetson-tx2": published("nanollama-304m", 1 / 18.29, 10, 800),  # MDI-LLM, one board
}
DERIVED_ENDPOINTS_S = {"raspberry-pi-5": 0.083, "raspberry-pi-4b": 0.053}  # distributed-llama, two nodes


def test_whatever_figure_is_derived_from_a_published_one_is_tested_here() -> None:
    derived = {
        (name, path)
        for name, kind in catalogue.device_kinds().items()
        for path, figure in figures(kind)
        if figure.source.startswith("Derived")
    }
    assert derived == {(name, "bytes_per_s") for name in DERIVED_BANDWIDTHS} | {
        (name, "endpoint.overhead_s") for name in DERIVED_ENDPOINTS_S
    }


@pytest.mark.parametrize("device", DERIVED_BANDWIDTHS)
def test_derived_kinds_take_the_published_time_per_token(device: str) -> None:
    """All that a step is charged: a ceiling with the overheads inside it pays them twice, 4 to 6 %."""
    row, ceilings = DERIVED_BANDWIDTHS[device], catalogue.device_kind(device).ceilings("float32")
    assert ceilings is not None
    model = row.model.quantised(row.bytes_per_weight)
    n_steps = row.n_output_tokens - 1
    contexts = row.n_prompt_tokens + np.arange(n_steps)
    told_s = AnalyticTiming(model, ceilings).seconds(model.whole, batch=1, n_new=1, n_context=contexts)
    assert told_s.mean() == pytest.approx(row.seconds, rel=0.005)


@pytest.mark.parametrize("device", DERIVED_ENDPOINTS_S)
def test_derived_message_costs_give_back_the_published_transfer_time(device: str) -> None:
    """Two sums in each of 32 layers, a message up and one down for each, of 4096 values in Q80."""
    n_messages, message_bytes = 2 * 32 * 2, 4096 * 34 // 32
    wire_s = n_messages * message_bytes * 8 / 1e9
    told_s = 2 * n_messages * catalogue.device_kind(device).endpoint_values().overhead_s + wire_s
    assert told_s == pytest.approx(DERIVED_ENDPOINTS_S[device], rel=0.005)


@pytest.mark.parametrize(
    ("name", "n_gib"), [("rtx-3090", 24), ("l4", 24), ("a100", 80), ("h100", 80), ("jetson-orin-nano", 8)]
)
def test_memories_are_those_that_the_driver_shows(name: str, n_gib: int) -> None:
    assert catalogue.device_kind(name).memory_bytes.value == n_gib * 2**30


def test_no_memory_is_in_decimal_units() -> None:
    """DRAM comes in powers of two times a whole number, whatever prefix a datasheet writes."""
    for name, kind in catalogue.device_kinds().items():
        assert kind.memory_bytes.value % 2**30 == 0, name


def test_what_error_correction_takes_of_an_l4_is_no_room_for_a_model() -> None:
    kind = catalogue.device_kind("l4")
    assert kind.memory_bytes.value - kind.process_bytes.value < 23034 * 2**20 - 0.7e9  # nvidia-smi's total


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: catalogue.device_kind("raspbery-pi-5"), "did you mean 'raspberry-pi-5'?"),
        (lambda: catalogue.model("gpt-2"), "did you mean 'gpt2'?"),
    ],
)
def test_an_unknown_name_brings_up_the_nearest(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ScenarioError, match=message.replace("?", r"\?")):
        call()

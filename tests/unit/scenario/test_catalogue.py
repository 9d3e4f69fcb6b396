"""The catalogue: complete, sourced, and in agreement with the measurements it derives figures from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgesim.errors import ScenarioError
from edgesim.model.architecture import DTYPE_BYTES, Architecture
from edgesim.scenario import catalogue
from edgesim.scenario.kinds import DeviceKind, Figure
from edgesim.scenario.section import Section


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


def streamed_bytes(model: Architecture, bytes_per_weight: float) -> float:
    """Weights that one token reads: all but the embedding table, of which it reads a single row."""
    return (model.n_parameters - model.vocab_size * model.hidden_size) * bytes_per_weight


@pytest.mark.parametrize(
    ("device", "model", "bytes_per_weight", "published_s"),
    [
        ("raspberry-pi-5", "llama-2-7b", 4.5 / 8, 0.435),  # distributed-llama, one node, Q40
        ("raspberry-pi-4b", "llama-2-7b", 4.5 / 8, 1.308),  # distributed-llama, one node, Q40
        ("jetson-agx-orin", "llama-2-7b", 4, 0.14034),  # EdgeShard, Edge-Solo, float32
    ],
)
def test_derived_bandwidths_give_back_the_published_time_per_token(
    device: str, model: str, bytes_per_weight: float, published_s: float
) -> None:
    bandwidth = catalogue.device_kind(device).bytes_per_s
    assert bandwidth is not None
    told_s = (
        streamed_bytes(catalogue.model(model).architecture("float32"), bytes_per_weight) / bandwidth.value
    )
    # The catalogue states two digits (three from 100 on), so the rounding is half a unit of the last of them.
    unit = 1e9 if bandwidth.value >= 1e11 else 1e8
    assert told_s == pytest.approx(published_s, rel=unit / 2 / (bandwidth.value - unit / 2) + 1e-9)


def test_the_tx2s_bandwidth_gives_back_mdi_llms_steady_rate() -> None:
    kind, model = (
        catalogue.device_kind("jetson-tx2"),
        catalogue.model("nanollama-304m").architecture("float32"),
    )
    ceilings = kind.ceilings("float32")
    assert ceilings is not None
    n_calls = model.n_blocks + 3  # embedding, head and step
    cache_bytes = 400 * model.kv_bytes_per_token(model.n_blocks)  # halfway through 800 tokens
    told_s = (streamed_bytes(model, 4) + cache_bytes) / ceilings.bytes_per_s + n_calls * ceilings.overhead_s
    assert 1 / told_s == pytest.approx(18.29, rel=0.5 / 21.5)  # two digits of 22 GB/s


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

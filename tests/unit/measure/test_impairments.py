"""Impairments inside the forward pass, against a slow pass written out in loops and against their laws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.special import exp1

torch = pytest.importorskip("torch")

from slow_llama import slow_logits  # noqa: E402
from tiny_language_models import tiny  # noqa: E402

from edgesim.errors import InputError  # noqa: E402
from edgesim.measure.impairments import _gains, impaired  # noqa: E402
from edgesim.measure.language_model import LanguageModel  # noqa: E402
from edgesim.model.answers.impairment import (  # noqa: E402
    OUTAGE_FLOOR,
    AllReduceNoise,
    Combined,
    DeviceNoise,
    Erasure,
    FadedNoise,
    Impairment,
    Quantised,
)
from edgesim.model.families import FAMILIES  # noqa: E402

DECODERS = [name for name, family in FAMILIES.items() if family.is_causal]
N_TOKENS, HIDDEN = 6, 64
ONE_OF_EACH: list[Impairment] = [
    AllReduceNoise(0.1),
    DeviceNoise(0.05, 4),
    Quantised(4),
    Quantised(3, 2),
    Erasure(0.3, 1),
    Erasure(0.3, 1, is_rescaled=True),
    Erasure(0.3, 1, unit="packet", packet_elements=10),
    FadedNoise(0.05, 1),
    FadedNoise(0.05, 2, block=1),
]


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def seeded(*seeds: int) -> list[Any]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def logits(model: LanguageModel, tokens: Any, impairment: Impairment, *seeds: int) -> Any:
    with impaired(model, impairment, seeded(*seeds)):
        return model.model(tokens, use_cache=False).logits


def some_tokens(n_sequences: int, n_tokens: int = N_TOKENS) -> Any:
    return torch.randint(0, 500, (n_sequences, n_tokens), generator=torch.Generator().manual_seed(5))


# ---- the slow second opinion


def noise_for(draw: Any, scale: Callable[[Sequence[np.ndarray], int], float]) -> Any:
    """An all-reduce that adds noise; one draw of all tokens' noise before each round over the tokens."""
    call = 0
    normals = np.empty(0)

    def all_reduce(parts: Sequence[np.ndarray]) -> np.ndarray:
        nonlocal call, normals
        if call % N_TOKENS == 0:
            normals = draw()
        token = call % N_TOKENS
        call += 1
        return sum(parts) + scale(parts, token) * normals[token]

    return all_reduce


def rounded(parts: Sequence[np.ndarray], bits: int) -> np.ndarray:
    total = np.zeros_like(parts[0])
    for part in parts:
        step = max(abs(v) for v in part) / (2 ** (bits - 1) - 1)
        total += [step * round(v / step) for v in part]
    return total


def power(vector: np.ndarray) -> float:
    return sum(float(v) ** 2 for v in vector) / len(vector)


def slowly(impairment: Impairment, seed: int) -> dict[str, Any]:
    """What the slow pass is to do, with the draws of a generator of this seed in the order of the pass."""
    generator = torch.Generator().manual_seed(seed)

    def normals() -> np.ndarray:
        return torch.randn(N_TOKENS, HIDDEN, generator=generator).double().numpy()

    match impairment:
        case AllReduceNoise(nmse):
            return {"all_reduce": noise_for(normals, lambda parts, _: math.sqrt(nmse * power(sum(parts))))}
        case DeviceNoise(nmse, n):
            scale = lambda parts, _: math.sqrt(nmse * sum(power(part) for part in parts))  # noqa: E731
            return {"all_reduce": noise_for(normals, scale), "n_devices": n}
        case Quantised(bits, n):
            return {"all_reduce": lambda parts: rounded(parts, int(bits)), "n_devices": n}
        case FadedNoise(nmse, 1, None):
            gains = np.empty(0)

            def draw() -> np.ndarray:
                nonlocal gains
                uniforms = torch.rand(N_TOKENS, dtype=torch.float64, generator=generator).numpy()
                gains = OUTAGE_FLOOR - np.log1p(-uniforms)  # exponential, and without memory
                return normals()

            return {
                "all_reduce": noise_for(
                    draw, lambda parts, token: math.sqrt(nmse / gains[token] * power(sum(parts)))
                )
            }
        case FadedNoise(nmse, 2, at):
            uniforms = torch.rand(N_TOKENS, dtype=torch.float64, generator=generator).numpy()
            drawn = normals()

            def noisy(block: int, position: int, state: np.ndarray) -> np.ndarray:
                if block != at:
                    return state
                gain = gain_of_shape_2(uniforms[position])
                return state + math.sqrt(nmse / gain * power(state)) * drawn[position]

            return {"split": noisy}
        case Erasure(p, at, unit, packet_elements, is_rescaled):
            size = packet_elements if unit == "packet" else 1
            uniforms = torch.rand(N_TOKENS, math.ceil(HIDDEN / size), generator=generator).numpy()

            def erase(block: int, position: int, state: np.ndarray) -> np.ndarray:
                if block != at:
                    return state
                kept = [v if uniforms[position][i // size] >= p else 0.0 for i, v in enumerate(state)]
                return np.array(kept) / (1 - p if is_rescaled else 1)

            return {"split": erase}
    raise AssertionError(impairment)


def gain_of_shape_2(uniform: float) -> float:
    """By bisection of the closed form: P(g > x) = (1 + 2 x) exp(-2 x)."""

    def beyond(x: float) -> float:
        return (1 + 2 * x) * math.exp(-2 * x)

    low, high = OUTAGE_FLOOR, 50.0
    for _ in range(200):
        middle = (low + high) / 2
        if beyond(middle) / beyond(OUTAGE_FLOOR) > 1 - uniform:
            low = middle
        else:
            high = middle
    return low


@pytest.mark.parametrize("impairment", [None, *ONE_OF_EACH], ids=str)
def test_hooks_agree_with_a_slow_pass(impairment: Impairment | None) -> None:
    model = tiny()
    weights = {name: value.double().numpy() for name, value in model.model.state_dict().items()}
    tokens = some_tokens(2)
    if impairment is None:
        fast = model.model(tokens, use_cache=False).logits
    else:
        fast = logits(model, tokens, impairment, 3, 4)
    for row, seed in enumerate((3, 4)):
        how = {} if impairment is None else slowly(impairment, seed)
        slow = slow_logits(weights, model.model.config, tokens[row].tolist(), **how)
        np.testing.assert_allclose(fast[row].numpy(), slow, atol=1e-5 * np.abs(slow).max(), rtol=0)


# ---- laws


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("impairment", ONE_OF_EACH, ids=str)
def test_zero_impairment_is_the_clean_pass_to_the_bit_and_others_are_not(
    family: str, impairment: Impairment
) -> None:
    model, tokens = tiny(family), some_tokens(2)
    clean = model.model(tokens, use_cache=False).logits
    clean_level = impairment.clean_level
    assert clean_level is not None

    assert torch.equal(logits(model, tokens, impairment.at(clean_level), 1, 2), clean)
    assert not torch.allclose(logits(model, tokens, impairment, 1, 2), clean, rtol=1e-3)
    assert torch.equal(model.model(tokens, use_cache=False).logits, clean)  # nothing stays behind


@pytest.mark.parametrize("family", DECODERS)
def test_devices_parts_make_up_the_sum_in_every_family(family: str) -> None:
    # Rounding to 24 bits is an error of 1e-7 of the largest value: what differs is then how parts are cut.
    model, tokens = tiny(family, dtype=torch.float64), some_tokens(2)
    clean = model.model(tokens, use_cache=False).logits
    parts = logits(model, tokens, Quantised(40, 3), 1)

    torch.testing.assert_close(parts, clean, rtol=1e-7, atol=1e-7 * float(clean.abs().max()))


@pytest.mark.parametrize("family", DECODERS)
def test_noise_has_the_power_that_was_asked_for_in_every_family(family: str) -> None:
    model, tokens = tiny(family), some_tokens(3, 50)
    path = f"{model.places.blocks}.0"
    for which in model.places.summed:
        module = model.model.get_submodule(f"{path}.{which}")
        sent: list[Any] = []
        got: list[Any] = []
        before = module.register_forward_hook(lambda _m, _i, out, to=sent: to.append(out))
        with impaired(model, AllReduceNoise(0.04), seeded(1, 2, 3)):
            after = module.register_forward_hook(lambda _m, _i, out, to=got: to.append(out))
            model.model(tokens, use_cache=False)
        before.remove()
        after.remove()
        total = sent[0] - (0 if module.bias is None else module.bias)
        ratios = ((got[0] - sent[0]).square() / total.square().mean(-1, keepdim=True)).double()
        # Squares of normals: variance 2 each. Five standard deviations.
        assert float(ratios.mean()) == pytest.approx(0.04, rel=5 * math.sqrt(2 / ratios.numel()))


def test_independent_noises_of_devices_add_up() -> None:
    """One draw stands for the devices' draws: same variance as drawing each on its own."""
    model, tokens = tiny(), some_tokens(1, 40)
    module = model.model.model.layers[0].self_attn.o_proj
    inputs: list[Any] = []
    handle = module.register_forward_hook(lambda _m, given, _o: inputs.append(given[0]))
    model.model(tokens, use_cache=False)
    handle.remove()
    wanted = 0.0
    for device in range(4):
        share = slice(32 * device, 32 * (device + 1))
        wanted += 0.02 * float((inputs[0][..., share] @ module.weight.T[share]).square().mean())
    clean, got = module(inputs[0]), []
    with impaired(model, DeviceNoise(0.02, 4), seeded(1)):
        got = [module(inputs[0]) - clean for _ in range(20)]
    variance = float(torch.stack(got).square().mean())
    # Tokens' variances differ, which widens the estimate: 40 tokens of 64 elements, 20 times.
    assert variance == pytest.approx(wanted, rel=0.1)


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("size", [1, 16])
def test_the_share_of_what_is_erased_is_p_in_every_family(family: str, size: int) -> None:
    model, tokens = tiny(family), some_tokens(4, 60)
    states: list[Any] = []
    erasure = Erasure(0.2, 1, unit="packet", packet_elements=size)
    following = model.model.get_submodule(f"{model.places.blocks}.1")
    handle = following.register_forward_pre_hook(lambda _m, given: states.append(given[0]))
    logits(model, tokens, erasure, 1, 2, 3, 4)
    handle.remove()
    lost = (states[0] == 0).view(4, 60, -1, size)
    assert bool((lost.all(-1) == lost.any(-1)).all())  # packets go as a whole
    n = lost[..., 0].numel()
    assert float(lost.double().mean()) == pytest.approx(0.2, abs=5 * math.sqrt(0.2 * 0.8 / n))


def test_a_sequence_meets_the_same_whatever_its_batch() -> None:
    model, tokens = tiny(), some_tokens(3)
    for impairment in ONE_OF_EACH:
        together = logits(model, tokens, impairment, 1, 2, 3)
        alone = logits(model, tokens[1:2], impairment, 2)
        torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-4)


def test_parts_that_act_apart_combine() -> None:
    """Noise before the split and erasure at it: the combination is one inside the other."""
    model, tokens = tiny(), some_tokens(1)
    erasure, rounding = Erasure(0.3, 1), Quantised(3)
    with impaired(model, rounding, seeded(9)), impaired(model, erasure, seeded(1)):
        nested = model.model(tokens, use_cache=False).logits
    both = logits(model, tokens, Combined((rounding, erasure)), 1)

    assert torch.equal(both, nested)


@pytest.mark.parametrize("m", [0.5, 1, 2, 5])
def test_gains_have_the_law_of_nakagami_fading_above_the_floor(m: float) -> None:
    from scipy.integrate import quad

    def density(g: float) -> float:
        return m**m / math.gamma(m) * g ** (m - 1) * math.exp(-m * g)

    uniforms = np.array([0.0, 0.1, 0.5, 0.9, 0.999])
    gains = _gains(torch.from_numpy(uniforms), m).numpy()
    whole = quad(density, OUTAGE_FLOOR, math.inf)[0]
    below = [quad(density, OUTAGE_FLOOR, gain)[0] / whole for gain in gains]
    np.testing.assert_allclose(below, uniforms, atol=1e-7)


def test_rayleigh_fading_doubles_the_noise() -> None:
    """E[1/g | g >= f] = exp(f) E1(f) = 2.0146 for f = 0.1; the mean over evenly spread uniforms."""
    n = 200_000
    uniforms = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    mean = float((1 / _gains(uniforms, 1)).mean())
    assert mean == pytest.approx(math.exp(OUTAGE_FLOOR) * exp1(OUTAGE_FLOOR), rel=1e-4)


@pytest.mark.parametrize(
    ("impairment", "says"),
    [
        (Erasure(0.1, 2), "expected a split after 1 to 1"),
        (DeviceNoise(0.1, 9), "only 8 heads"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(impairment: Impairment, says: str) -> None:
    with pytest.raises(InputError, match=says):
        logits(tiny(), some_tokens(1), impairment, 1)

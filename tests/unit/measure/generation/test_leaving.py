"""Tokens that leave early in small models of several families: against whole passes, and idle blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny_language_models import tiny  # noqa: E402

from edgesim.errors import InputError  # noqa: E402
from edgesim.measure.exits import exit_logits, exit_records  # noqa: E402
from edgesim.measure.generation.exit_paths import measure_propagated, standard_rules, teacher_forced  # noqa: E402
from edgesim.measure.generation.free_running import measure_free_running, prompts_of, written  # noqa: E402
from edgesim.measure.generation.leaving import Leaving  # noqa: E402
from edgesim.measure.language_model import LanguageModel  # noqa: E402
from edgesim.measure.text import Text  # noqa: E402
from edgesim.model.answers.exit_paths import CacheFill, path_in_records  # noqa: E402
from edgesim.model.answers.exit_rule import ExitRule  # noqa: E402

FAMILIES = ("llama", "gpt2", "opt", "phi", "gemma2", "qwen3")
ROUNDING = 1e-4  # of a log probability, in single precision, of weights as large as a tiny model's
ALWAYS, NEVER = ExitRule((0.0,)), ExitRule((2.0,))


@pytest.fixture(scope="module")
def text() -> Text:
    draws = np.random.default_rng(1)
    words = ("the sum of all parts", "is noisy", "an early exit", "guesses,", "and", "a late one\n", "knows")
    return Text("words", "0" * 64, {name: " ".join(draws.choice(words, size=90)) for name in ("one", "two")})


def some(n_rows: int, n_tokens: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(2).integers(1, 200, size=(n_rows, n_tokens)))


@pytest.mark.parametrize("family", FAMILIES)
def test_with_no_exit_taken_it_is_the_model_itself(family: str) -> None:
    model, tokens = tiny(family), some(3, 12)
    whole = exit_logits(model, tokens)[-1].log_softmax(dim=-1)
    leaving = Leaving(model, [NEVER] * 3, list(CacheFill))
    step = leaving.read(tokens[:, :5], is_prompt=True)
    for position in range(5, 12):
        assert (step.exits == 1).all()
        assert (step.log_probabilities - whole[:, position - 1]).abs().max() < ROUNDING
        step = leaving.read(tokens[:, position : position + 1])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fill", [CacheFill.RECOMPUTE, CacheFill.SAME_PATH])
def test_an_exit_taken_says_what_it_says_in_a_whole_pass(family: str, fill: CacheFill) -> None:
    model, tokens = tiny(family), some(2, 10)
    early = exit_logits(model, tokens)[0].log_softmax(dim=-1)
    leaving = Leaving(model, [ALWAYS] * 2, [fill] * 2)
    for position in range(10):
        step = leaving.read(tokens[:, position : position + 1])
        assert (step.exits == 0).all()
        assert (step.log_probabilities - early[:, position]).abs().max() < ROUNDING


@pytest.mark.parametrize("family", FAMILIES)
def test_a_propagated_token_is_one_whose_later_blocks_do_nothing(family: str) -> None:
    """Tokens 3 and 7 leave after the first block: as if the second gave back what it got, for these two."""
    model, tokens = tiny(family), some(1, 10)
    left = [3, 7]
    second = model.model.get_submodule(model.places.blocks)[1]

    def skip(_: Any, args: Any, kwargs: Any, output: Any) -> Any:
        state, given = (
            (output[0] if isinstance(output, tuple) else output).clone(),
            kwargs.get("hidden_states"),
        )
        state[:, left] = (args[0] if args else given)[:, left]
        return (state, *output[1:]) if isinstance(output, tuple) else state

    hook = second.register_forward_hook(skip, with_kwargs=True)
    expected = exit_logits(model, tokens)
    hook.remove()

    said = []
    leaving = Leaving(model, [NEVER], [CacheFill.PROPAGATE])
    for position in range(10):
        leaving._thresholds[:] = 0.0 if position in left else torch.inf
        said.append(leaving.read(tokens[:, position : position + 1]))
    for position, step in enumerate(said):
        exit_taken = 0 if position in left else 1
        assert int(step.exits) == exit_taken
        wanted = expected[exit_taken][0, position].log_softmax(dim=-1)
        assert (step.log_probabilities[0] - wanted).abs().max() < ROUNDING


def test_rules_and_ways_side_by_side_do_not_disturb_one_another(text: Text) -> None:
    model = tiny()
    rules = [ALWAYS, NEVER, ExitRule((0.07,)), ExitRule((5.0,), "entropy")]
    together = measure_propagated(model, text, rules, n_tokens=128)
    for rule in rules:
        alone = measure_propagated(model, text, [rule], n_tokens=128).said[rule]
        assert (alone.exits == together.said[rule].exits).all()
        assert np.abs(alone.nll - together.said[rule].nll).max() < ROUNDING
    assert 0 < together.path(rules[2]).shares()[0] < 1
    assert 0 < together.path(rules[3]).shares()[0] < 1


def test_recomputed_paths_are_derived_from_records(text: Text) -> None:
    model = replace(tiny(), temperatures=(1.7, 0.8))
    records = exit_records(model, text, n_tokens=256)
    cut = np.asarray(prompts_of(model, text, 1, 257))
    assert records.nll is not None
    rules = {"confidence": ExitRule((0.07,)), "entropy": ExitRule((5.0,), "entropy")}
    for kind, rule in rules.items():
        path = path_in_records(CacheFill.RECOMPUTE, rule, records)
        (said,) = teacher_forced(model, cut, [rule], CacheFill.RECOMPUTE)
        clear = np.abs(getattr(records, kind)[:, 0] - rule.thresholds[0]) > ROUNDING
        assert clear.mean() > 0.9
        assert (said.exits == path.exits)[clear].all()
        where = np.arange(len(path.exits)), path.exits
        assert np.abs(said.nll - records.nll[where])[clear].max() < ROUNDING


def test_writing_is_reading_what_was_written(text: Text) -> None:
    model: LanguageModel = tiny()
    rule, prompts = ExitRule((0.07,)), prompts_of(model, text, 3, 20)
    for fill in (CacheFill.PROPAGATE, CacheFill.RECOMPUTE):
        tokens, exits = written(model, prompts, rule, fill, 15)
        cut = np.hstack([prompts, tokens])
        (said,) = teacher_forced(model, cut, [rule], fill, n_prompt=20)
        assert (said.exits.reshape(3, 15) == exits).all()
        assert said.is_correct.all()  # each token is what its exit found most probable
    tokens, exits = written(model, prompts, rule, CacheFill.SAME_PATH, 15)
    assert (exits == exits[:, :1]).all()


def test_what_never_leaves_never_differs(text: Text) -> None:
    model = tiny()
    measured = measure_free_running(model, text, [NEVER, ALWAYS], n_prompts=4, prompt_tokens=16, n_tokens=8)
    for fill in CacheFill:
        same, other = measured.at(fill, NEVER), measured.at(fill, ALWAYS)
        assert same.first_difference == (8,) * 4
        assert (same.nll, same.mean_block) == (same.full_nll, 2.0)
        assert other.mean_block == 1.0
        assert other.nll > other.full_nll
    assert measured.provenance["n_prompts"] == 4


def test_what_does_not_fit_is_refused(text: Text) -> None:
    model = tiny()
    with pytest.raises(InputError, match="a threshold for each of 1 inner exits"):
        Leaving(model, [ExitRule((0.1, 0.2))], [CacheFill.RECOMPUTE])
    with pytest.raises(InputError, match="expected one, or the prompt"):
        Leaving(model, [NEVER], [CacheFill.RECOMPUTE]).read(some(1, 3))
    with pytest.raises(InputError, match="no more than fit"):
        written(model, prompts_of(model, text, 1, 200), NEVER, CacheFill.RECOMPUTE, 60)
    with pytest.raises(InputError, match="a prompt of 16 tokens in windows of 16"):
        teacher_forced(model, some(1, 17).numpy(), [NEVER], CacheFill.PROPAGATE, n_prompt=16)
    assert len(standard_rules(4)) == len(set(standard_rules(4))) == 27
    assert {len(rule.thresholds) for rule in standard_rules(9)} == {8}

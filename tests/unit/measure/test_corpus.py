from __future__ import annotations

from pydoc_data.topics import topics

import pytest

from edgesim.measure.corpus import Corpus, digest, python_corpus


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return python_corpus()


def test_parts_share_no_document_and_what_is_held_out_is_the_pythons_own_text(corpus):
    parts = (corpus.train, corpus.calibration, corpus.test)
    names = [name for part in parts for name in part]
    assert len(names) == len(set(names))
    for part in (corpus.calibration, corpus.test):
        of_topics = {name: text for name, text in part.items() if name.startswith("topic/")}
        assert of_topics
        assert of_topics == {name: topics[name.removeprefix("topic/")] for name in of_topics}


def test_no_paragraph_of_a_held_out_module_is_trained_on_through_its_comments(corpus):
    held_out = {name for name in (*corpus.calibration, *corpus.test) if name.startswith("library/")}
    assert held_out
    assert held_out.isdisjoint(corpus.train)


def test_sizes_are_those_promised(corpus):
    size_bytes = {
        name: sum(len(text.encode()) for text in getattr(corpus, name).values())
        for name in ("train", "calibration", "test")
    }
    assert 40_000 <= size_bytes["test"] <= 72_000  # the last document may be 12 kB long; some are left out
    assert 60_000 <= size_bytes["calibration"] <= 112_000
    assert size_bytes["train"] > 20 * size_bytes["calibration"]


def test_reading_twice_gives_the_same_bytes(corpus):
    again = python_corpus.__wrapped__()
    assert digest(corpus.train) == digest(again.train)
    assert digest(corpus.test) == digest(again.test)


def test_the_digest_tells_names_from_texts():
    assert digest({"ab": "c"}) != digest({"a": "bc"})
    assert digest({"a": "b"}) == digest({"a": "b"})


def test_nothing_that_is_held_out_stands_in_the_training_text_under_another_name(corpus):
    learned = {line.strip() for text in corpus.train.values() for line in text.splitlines()}
    for part in (corpus.calibration, corpus.test):
        for name, text in part.items():
            long = {line.strip() for line in text.splitlines() if len(line.strip()) > 30}
            assert len(long & learned) < 0.2 * len(long), name

"""The small models and the handmade profile, as fixtures."""

from __future__ import annotations

import pytest
from small_models import GPT2, LLAMA, handmade_profile

from edgesim.model.architecture import Architecture
from edgesim.model.profile import Profile


@pytest.fixture
def llama() -> Architecture:
    return Architecture.from_config(LLAMA, name="small-llama", dtype="bfloat16")


@pytest.fixture
def gpt2() -> Architecture:
    return Architecture.from_config(GPT2, name="small-gpt2", dtype="float32")


@pytest.fixture
def profile(llama: Architecture) -> Profile:
    return handmade_profile(llama)

"""Settings of the whole suite; fixtures live beside the tests that use them."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a CUDA device where there is none."""
    needing = [item for item in items if item.get_closest_marker("gpu")]
    if not needing:
        return
    import torch  # only now: importing it takes seconds, and most runs need no GPU test

    if not torch.cuda.is_available():
        for item in needing:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))

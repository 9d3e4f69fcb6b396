"""Conformance tests for plug-ins; a plug-in's test file needs only a few lines.

::

    from edgesim.testing import check_strategy

    def test_contract():
        check_strategy(MyStrategy())

Every checker raises an ``AssertionError`` with a sentence that states the violation.
"""

from __future__ import annotations

from edgesim.testing.arrivals import check_arrivals
from edgesim.testing.catalogues import check_catalogue
from edgesim.testing.disciplines import check_discipline
from edgesim.testing.link_rates import check_link_rate
from edgesim.testing.metrics import check_metric
from edgesim.testing.partitions import check_partition
from edgesim.testing.readers import check_reader
from edgesim.testing.strategies import check_strategy, worlds

__all__ = [
    "check_arrivals",
    "check_catalogue",
    "check_discipline",
    "check_link_rate",
    "check_metric",
    "check_partition",
    "check_reader",
    "check_strategy",
    "worlds",
]

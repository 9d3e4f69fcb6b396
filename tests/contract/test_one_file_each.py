"""What edgesim's own cost: one file in the folder of its kind, two of a discipline, and all else knows it.

The file is the very one that the example plug-in offers, put where edgesim's own stand.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

from edgesim import plugins
from edgesim.engine.serving.station import STATIONS
from edgesim.planning.cutting import PARTITIONS
from edgesim.plugins import EntryPointGroup
from edgesim.scenario.catalogue.sources import CATALOGUES
from edgesim.scenario.schema.arrival_process import ARRIVALS
from edgesim.scenario.schema.json_schema import json_schema
from edgesim.scenario.schema.link_rate import LINK_RATES
from edgesim.scenario.schema.serving import ServingChoice
from edgesim.scenario.schema.workload import TraceEntry
from edgesim.statistics.metric import METRIC_GROUP, MetricTable
from edgesim.strategies.pipeline import Pipeline
from edgesim.workload.readers.detect import READERS, detect
from edgesim.world.discipline import DISCIPLINES

EXAMPLES = Path(__file__).resolve().parents[1] / "plugin_example" / "src" / "edgesim_example_plugin"
FILES: dict[str, EntryPointGroup] = {
    "front_loaded.py": PARTITIONS,
    "access_log.py": READERS,
    "jitter.py": METRIC_GROUP,
    "on_off.py": ARRIVALS,
    "modem.py": LINK_RATES,
}
TWO_FILES = "newest_first.py"  # a value and a station: the one file of the plug-in has both


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file stands in the folder of its kind, as far as Python can see."""
    for file, group in (*FILES.items(), *((TWO_FILES, each) for each in (DISCIPLINES, STATIONS))):
        folder = tmp_path / group.name
        folder.mkdir()
        shutil.copy(EXAMPLES / file, folder / file)
        home = importlib.import_module(group.home)
        monkeypatch.setattr(home, "__path__", [*home.__path__, str(folder)])
    monkeypatch.setattr("edgesim.plugins.entry_points", lambda group: [])  # what is found is looked for anew


def test_every_door_is_here() -> None:
    assert {group.name for group in (*FILES.values(), CATALOGUES, DISCIPLINES, STATIONS)} == {
        "edgesim.partitions", "edgesim.readers", "edgesim.metrics", "edgesim.arrivals", "edgesim.link_rates",
        "edgesim.catalogues", "edgesim.disciplines", "edgesim.stations",
    }  # fmt: skip


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("file", FILES)
def test_one_file_is_found_and_checked(file: str) -> None:
    group = FILES[file]
    name = file.removesuffix(".py").replace("_", group.joint)
    assert name in plugins.own_names(group)
    assert group.is_entry(plugins.load(group, name))


@pytest.mark.usefixtures("at_home")
def test_the_schema_names_them(tmp_path: Path) -> None:
    schema = json_schema({"pipeline": Pipeline})
    sections = schema["$defs"]
    assert "on_off" in sections["ArrivalsChoice"]["properties"]
    assert '"modem"' in repr(schema).replace("'", '"')
    assert "access-log" in repr(sections["TraceEntry"]["anyOf"])
    assert "front-loaded" in repr(sections["StrategyEntry"])
    assert "newest-first" in repr(sections["ServingChoice"])


@pytest.mark.usefixtures("at_home")
def test_they_are_used_as_others_are(tmp_path: Path) -> None:
    assert Pipeline(partition="front-loaded").partition == "front-loaded"
    file = tmp_path / "requests.log"
    file.write_text("# tokens v1\n1.5s 12>3\n", encoding="utf-8")
    assert detect(file).name == "gateway log"
    assert TraceEntry.model_validate({"file": "x", "format": "access-log"}).format == "access-log"
    assert list(MetricTable())[-1] == "ttft_jitter_s"
    serving = ServingChoice.model_validate({"newest-first": {"pause": "10 ms"}}).value()
    assert serving is not None
    assert serving.name == "newest-first"
    assert plugins.load(STATIONS, serving.name).__name__ == "NewestFirstStation"

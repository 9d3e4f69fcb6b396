"""A trace whose names try to become markup."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TINY = Path(__file__).parents[2] / "traces" / "tiny"
MARKUP = "</script><img src=x onerror=alert(1)>"
LABEL = "<img src=x onerror='alert(2)'>"  # a folder's name: without a slash


def hostile_trace(folder: Path) -> Path:
    """Copy the trace that ships, with other names for its scenario, a device and a strategy."""
    trace = folder / "hostile"
    shutil.copytree(TINY, trace)
    run = json.loads((trace / "run.json").read_text())
    run["name"] = MARKUP
    run["scenario"]["text"] = f"name: x\ndescription: '{MARKUP.replace(chr(39), '')}'\n"
    run["strategies"][0] = LABEL
    run["options"][LABEL] = {"<b>": MARKUP}
    run["machine"]["system"] = MARKUP
    written = json.dumps(run)
    renamed = {"phone": MARKUP, "box--phone": "--".join(sorted(("box", MARKUP)))}
    written = written.replace("box--phone", json.dumps(renamed["box--phone"])[1:-1])
    (trace / "run.json").write_text(written)
    for table in ("requests", "spans", "devices"):
        (trace / table / "strategy=local").rename(trace / table / f"strategy={LABEL}")
    for file in trace.glob("*/*/*/part-*.parquet"):
        table = pq.read_table(file)
        for at, field in enumerate(table.schema):
            if pa.types.is_dictionary(field.type):
                texts = [renamed.get(text, text) for text in table[field.name].to_pylist()]
                column = pa.array(texts, pa.string()).dictionary_encode().cast(field.type)
                table = table.set_column(at, field, column)
        pq.write_table(table, file)
    return trace

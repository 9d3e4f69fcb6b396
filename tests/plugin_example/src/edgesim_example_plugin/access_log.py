"""A reader: logs of a gateway, whose lines are such as ``1.5s 12>3`` below the line ``# tokens v1``."""

from __future__ import annotations

import re

from edgesim.workload.readers.record import Format, Record, refuse

__all__ = ["ACCESS_LOG"]

FIRST = "# tokens v1"
LINE = re.compile(r"(\d+(?:\.\d+)?)s (\d+)>(\d+)")


def recognise(head):
    return 1 if head.line.strip() == FIRST else 0


def records(path, text, length):
    for number, line in enumerate(text, 1):
        if number == 1 or not line.strip():
            continue
        found = LINE.fullmatch(line.strip())
        if found is None:
            refuse(
                path, number, f"found {line.strip()[:40]!r}, expected such as '1.5s 12>3'; correct the line"
            )
        at_s, prompt, output = found.groups()
        yield Record(number, float(at_s), int(prompt), int(output))


ACCESS_LOG = Format(
    "gateway log",
    time_unit="seconds",
    looks_like=FIRST,
    remark="",
    records=records,
    recognises=recognise,
)

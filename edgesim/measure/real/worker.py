"""Worker process: reads orders from standard input and writes answers to standard output.

Started by :mod:`edgesim.measure.real.worker_pool`, as ``python -m edgesim.measure.real.worker CORE``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import Any

from edgesim.errors import InputError

__all__ = ["main"]


def main() -> None:
    """Pin this process to a core, and execute orders until standard input ends."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[1])})
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends this one
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # keeps prints of libraries out of the answers
    orders: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_read, args=(orders,), daemon=True).start()

    def answer(what: dict[str, Any]) -> None:
        out.write(json.dumps(what) + "\n")
        out.flush()

    workshop: Any = None

    def obey(order: dict[str, Any]) -> None:
        nonlocal workshop
        try:
            if workshop is None:
                from edgesim.measure.real.worker_orders import Workshop  # loads torch

                workshop = Workshop()
            answer(workshop.obey(order))
        except InputError as error:
            answer({"refused": str(error)})
        except Exception as error:  # any error is reported to the parent
            traceback.print_exc()
            answer({"failed": f"{type(error).__name__}: {error}"})

    while True:
        obey(orders.get())


def _read(orders: SimpleQueue[dict[str, Any]]) -> None:
    """Queue orders; when standard input ends, end the process at once, even during an order."""
    for line in sys.stdin:
        orders.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()

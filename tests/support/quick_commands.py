"""An ``edgesim`` command whose processes are forked from one that has imported everything.

Of a short command nine tenths are imports, and pages show a hundred commands. Here one process (this file,
run as a script) imports once, and forks for each command that a client sends with its files, folder and
environment. Otherwise it is ``python -m edgesim``: a process of its own, the same entry, its exit status.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["quick_edgesim"]

CLIENT = """#!{python} -SE
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
server.sendall(asked)
status = server.recv(1)
sys.exit(status[0] if status else 70)
"""
IMPORTS = (
    *("edgesim.api", "edgesim.cli", "edgesim.explain", "edgesim.runner", "edgesim.sweep"),
    *("edgesim.report.page", "edgesim.report.plots", "matplotlib.pyplot", "pandas", "pyarrow.parquet"),
    *("scipy.stats", "scipy.optimize"),
)


@contextmanager
def quick_edgesim(command: Path, environment: dict[str, str]) -> Iterator[None]:
    """Make an executable file, which is the command as long as the context lasts."""
    address = str(command.with_suffix(".socket"))
    server = subprocess.Popen([sys.executable, __file__, address], env=environment, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        command.write_text(CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
        command.chmod(0o755)
        yield
    finally:
        server.kill()
        server.wait()
        assert server.stdout is not None
        server.stdout.close()


def serve(address: str) -> None:
    """Fork for every command that comes, for ever."""
    for name in IMPORTS:
        __import__(name)
    gc.freeze()  # what is shared by all is not looked through, and so not copied
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nothing waits for the processes that answer
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address)
    listening.listen()
    os.write(1, b"ready\n")
    while True:
        asking, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _answer(asking)
        asking.close()


def _answer(asking: socket.socket) -> None:
    """Fork once more, run the command with the client's files, and send its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, files, _, _ = socket.recv_fds(asking, 4, 3)
    asked = b""
    while len(asked) < int.from_bytes(length, "big"):
        asked += asking.recv(1 << 20)
    arguments, folder, environment = json.loads(asked)
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        asking.sendall(bytes([status if status >= 0 else 128 - status]))
        os._exit(0)
    asking.close()
    for number, file in enumerate(files):
        os.dup2(file, number)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["edgesim", *arguments]
    sys.path[0] = ""
    status = 0
    try:
        runpy.run_module("edgesim", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status)  # taking a process with so much imported to pieces takes longer than most commands


if __name__ == "__main__":
    serve(sys.argv[1])

"""Entry point of ``python -m edgesim``, the command line where scripts are not on the path."""

from __future__ import annotations

from edgesim.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()

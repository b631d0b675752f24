"""Runs the emulated endpoint in a process of its own; see openai_server.py."""

from __future__ import annotations

import argparse
import asyncio
import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--plays", help="A service of services.py whose quirks it has.")
    # A script's own folder is on the path, not the one that `tests` is in.
    sys.path.append(str(Path(__file__).parents[2]))
    given = arguments.parse_args()
    asyncio.run(import_module("tests.emulator.openai_server").serve(given.port, given.plays))

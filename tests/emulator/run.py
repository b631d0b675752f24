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
    # A script's own folder is on the path, not the one that `tests` is in.
    sys.path.append(str(Path(__file__).parents[2]))
    asyncio.run(import_module("tests.emulator.openai_server").serve(arguments.parse_args().port))

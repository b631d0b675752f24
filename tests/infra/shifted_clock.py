"""A process whose clock is off: a few lines of C that are loaded before libc answers what time it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("shifted_clock.c")
_TRUE = 5.0
_SAYS = "import time, datetime; print(time.time()); print(datetime.datetime.now().timestamp())"


def shifted_by(folder: Path, seconds: int) -> dict[str, str]:
    """Variables of the environment with which a process has a clock that is so many seconds ahead; behind, if negative.

    Skips the test where there is no Linux or no C compiler.
    """
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("a clock is shifted by a library that is compiled here: this needs Linux and cc")
    library = folder / "shifted_clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
    variables = {"LD_PRELOAD": str(library), "SHIFTED_BY": str(seconds)}
    said = subprocess.run(
        [sys.executable, "-c", _SAYS], env=variables, check=True, capture_output=True, text=True
    )
    assert all(abs(float(one) - time.time() - seconds) < _TRUE for one in said.stdout.split()), said.stdout
    return variables

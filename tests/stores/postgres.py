"""A real PostgreSQL with pgvector, started in a folder of the test and stopped by its own pid.

The system's, where its packages have the extension (`postgresql-15-pgvector`), else the one in the wheel `pgserver`.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from memfold.infra.ports import LOOPBACK, free_ports

_SYSTEM = Path("/usr/lib/postgresql")


def binaries() -> Path | None:
    """The folder of a PostgreSQL that has the extension; None where there is none."""
    system = [
        folder / "bin"
        for folder in sorted(_SYSTEM.glob("*"), reverse=True)
        if Path(f"/usr/share/postgresql/{folder.name}/extension/vector.control").exists()
    ]
    wheel = find_spec("pgserver")
    shipped = [Path(wheel.origin).parent / "pginstall" / "bin"] if wheel and wheel.origin else []
    return next(iter([*system, *shipped]), None)


@contextmanager
def readable_folder() -> Iterator[Path]:
    """Not below pytest's own, into which PostgreSQL, which refuses root, cannot look."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def postgres(folder: Path, port: int | None = None, host: str = LOOPBACK) -> Iterator[str]:
    """Its address, while it runs; what it held before, where it ran in this folder. PostgreSQL refuses root: then it runs as nobody."""
    found = binaries()
    assert found is not None
    given: dict[str, Any] = {"cwd": "/", "env": {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}}
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        given |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data = folder / "data"
    initialised = [str(found / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
    if not data.exists():
        subprocess.run(initialised, check=True, capture_output=True, **given)
        with (data / "pg_hba.conf").open("a") as trusted:
            trusted.write("host all all samenet trust\n")
    if port is None:
        (port,) = free_ports(1)
    options = f"-p {port} -c listen_addresses={host} -c unix_socket_directories= -c fsync=off"
    control = [str(found / "pg_ctl"), "-D", str(data), "-w", "-t", "60"]
    log = str(data / "server.log")
    subprocess.run(
        [*control, "-o", options, "-l", log, "start"], check=True, stdout=subprocess.DEVNULL, **given
    )
    try:
        yield f"host={host} port={port} user=postgres dbname=postgres"
    finally:
        # By the pid in its own data folder.
        subprocess.run([*control, "-m", "fast", "stop"], check=True, stdout=subprocess.DEVNULL, **given)

"""When a process was born, told so that no clock has a say in it: a pid that another process has since is told apart by it.

A start in seconds since the epoch is counted from the boot, and the boot moves when the machine's clock is corrected: by an hour,
and every process of a stack would be taken for a stranger.
"""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")
_STARTED = 19
"""Of the fields of /proc/<pid>/stat behind the name, which may hold anything: ticks from the boot to the start."""


def birth_of(pid: int) -> str:
    """The boot and the tick in which a living process started; "" where the system does not tell (not Linux), or it has ended."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
    return f"{boot}/{fields[_STARTED]}"

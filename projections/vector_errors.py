"""What LanceDB raises, in memfold's own errors.

LanceDB tells causes apart in the message only: RuntimeError and ValueError for damage as for a full disk, and a type of its own
that cannot be imported for a panic of its Rust code.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memfold.memory.errors import ShardDamaged, ShardLocked
from memfold.schemas.errors import MemfoldError

_CODE = re.compile(r"\(os error (\d+)\)")
_REFUSED = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EPERM", "EROFS", "EMFILE", "ENFILE", "ENOMEM")
}


class ShardRefused(MemfoldError, OSError):
    """The machine refuses a shard's files; the log has the events still. Do: free the space or rights that are named, start again."""


@contextmanager
def lance_errors(path: Path) -> Iterator[None]:
    """Whatever LanceDB raises inside becomes ShardRefused, ShardLocked or ShardDamaged, naming the shard."""
    try:
        yield
    except MemfoldError:
        raise
    except (RuntimeError, ValueError, OSError, LookupError) as raised:
        raise _named(path, raised) from raised
    except Exception as raised:
        if type(raised).__name__ != "RustPanic":
            raise
        raise _named(path, raised) from raised


def _named(path: Path, raised: Exception) -> MemfoldError:
    text = str(raised)
    code = (raised.errno if isinstance(raised, OSError) else None) or 0
    if found := _CODE.search(text):
        code = int(found[1])
    if code in _REFUSED:
        return ShardRefused(code, f"{os.strerror(code)}; what was applied before stays applied", str(path))
    if "conflict" in text.lower():
        return ShardLocked(
            f"another writer committed to {path} at the same time; stop that worker ({text[:200]})"
        )
    return ShardDamaged(
        f"{path} cannot be read; `memfold replay rebuild` makes it anew from the log ({text[:300]})"
    )

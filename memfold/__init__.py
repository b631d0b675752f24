"""memfold: memory for AI agents as a fold over an immutable log.

The names below are loaded on first use, so that importing one room (`memfold.schemas`, say) pulls in no other.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memfold.asynchronous import AsyncMemory as AsyncMemory
    from memfold.serve.mem0_config import IgnoredSetting as IgnoredSetting
    from memfold.serve.mem0_config import MemoryConfig as MemoryConfig
    from memfold.synchronous import Memory as Memory

__version__ = "0.1.0"
__all__ = ["AsyncMemory", "IgnoredSetting", "Memory", "MemoryConfig", "__version__"]

_HOME_OF = {
    "AsyncMemory": "memfold.asynchronous",
    "IgnoredSetting": "memfold.serve.mem0_config",
    "Memory": "memfold.synchronous",
    "MemoryConfig": "memfold.serve.mem0_config",
}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'memfold' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)

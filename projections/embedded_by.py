"""Which model made the vectors of a generation: written once beside its shards, before the first of them is filled.

    <root>/vector/g0002/embedder.json    {"model": "minilm/all-MiniLM-L6-v2-int8", "dimensions": 384, "settings": {...}}

All vectors of one generation are of one model; whoever reads them embeds questions with that one. Keys are never in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from tempfile import mkstemp

import msgspec
from msgspec import Struct

from memfold.memory.errors import ShardDamaged
from memfold.projections.generations import Generations

FILE = "embedder.json"


class EmbeddedBy(Struct, frozen=True):
    """A model by the name that events give it, the length of its vectors, and the settings `embedder_*` that make it again."""

    model: str
    dimensions: int
    settings: Mapping[str, str | int] = {}


# Before there are threads (schemas/codec.py).
_read = msgspec.json.Decoder(EmbeddedBy).decode


def embedded_by(generations: Generations, generation: str) -> EmbeddedBy | None:
    """What made the vectors of a generation; None where no worker has written it down yet. Raises ShardDamaged."""
    path = generations.path(generation) / FILE
    try:
        return _read(path.read_bytes())
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as wrong:
        raise ShardDamaged(
            f"{path} does not say which model embeds ({wrong}); `memfold replay rebuild vector --embedder NAME` makes "
            "another generation"
        ) from wrong


def record(generations: Generations, generation: str, by: EmbeddedBy) -> EmbeddedBy:
    """Write down what makes the vectors of a generation, durably; what stands there already stays, and is given back."""
    folder = generations.path(generation)
    folder.mkdir(parents=True, exist_ok=True)
    handle, written = mkstemp(prefix=f".{FILE}-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(by))
            file.flush()
            os.fsync(file.fileno())
        os.link(written, folder / FILE)
    except FileExistsError:
        return embedded_by(generations, generation) or by
    finally:
        os.unlink(written)
    return by

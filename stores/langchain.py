"""Any LangChain VectorStore that gives documents back by id.

Such a store embeds texts with an embeddings object of its own and has no filters in common with the next one: rows are asked
for until enough of them pass. Its model is asked whenever rows are put, also when a mirror is filled from the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore as LangChain
from pydantic import Field

from memfold.memory.errors import InvalidInput
from memfold.projections.vector_rows import Row
from memfold.stores.errors import StoreRefused, store_errors
from memfold.stores.meaning import passes
from memfold.stores.payload import payload_of, row_of
from memfold.stores.port import Asked, Found
from memfold.stores.settings import StoreSettings

_TEXT = "text"
_MORE = 4


class LangChainSettings(StoreSettings):
    store: str = Field(
        description="`package.module:name` of the VectorStore, or of a function that makes it, where the mirror can import it. "
        "The collection is whatever that object writes to; it has to be the mirror's own, and to outlive a process."
    )


class LangChainStore:
    """Scores are what the store gives, a distance in some; the order is the store's. Cannot be dropped: LangChain has no word for it."""

    def __init__(self, settings: LangChainSettings, dimensions: int, new: bool) -> None:
        self._where = f"LangChain's store {settings.store}"
        self._store = _made(settings.store)

    def put(self, rows: Sequence[Row]) -> None:
        """Old documents of the same ids go first: some stores refuse an id that is there, some keep both."""
        ids = [row.row_id for row in rows]
        there = [*self.held(ids)]
        documents = []
        for row in rows:
            payload = payload_of(row)
            documents.append(Document(str(payload.pop(_TEXT)), metadata=payload, id=row.row_id))
        with self._errors():
            if there:
                self._store.delete(there)
            self._store.add_documents(documents, ids=ids)

    def held(self, row_ids: Sequence[str]) -> dict[str, Row]:
        with self._errors():
            rows = [_row(document) for document in self._store.get_by_ids([*row_ids])]
        return {row.row_id: row for row in rows}

    def search(self, asked: Asked) -> list[Found]:
        wanted = _MORE * asked.limit if asked.tests else asked.limit
        while True:
            with self._errors():
                found = self._store.similarity_search_with_score(asked.text, k=wanted)
            rows = [Found(_row(document), float(score)) for document, score in found]
            passing = [one for one in rows if all(passes(test, one.row) for test in asked.tests)]
            if len(passing) >= asked.limit or len(found) < wanted:
                return passing[: asked.limit]
            wanted *= _MORE

    def drop(self) -> None:
        raise StoreRefused(
            f"{self._where} cannot be dropped through LangChain; `memfold projection remove --keep`, then drop it by its own means"
        )

    def close(self) -> None:
        """LangChain stores hold nothing that could be given up."""

    def _errors(self) -> Any:
        # A store may raise anything: its client is not known here.
        return store_errors(self._where, (ConnectionError, TimeoutError), (Exception,))


def _row(document: Document) -> Row:
    return row_of({**document.metadata, _TEXT: document.page_content})


def _made(path: str) -> LangChain:
    module, colon, name = path.partition(":")
    try:
        found = getattr(import_module(module), name) if colon else None
    except (ImportError, AttributeError) as missing:
        raise InvalidInput(f"langchain: store {path!r} cannot be imported ({missing})") from missing
    made = found() if callable(found) and not isinstance(found, LangChain) else found
    if not isinstance(made, LangChain):
        raise InvalidInput(
            f"langchain: store {path!r} is {type(made).__name__}, not a LangChain VectorStore; name it as package.module:name"
        )
    return made

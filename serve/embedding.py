"""The embedder of the served generation: the configuration chooses the first one, a rebuild changes it, everybody follows.

A generation of vectors records what made it. Questions are embedded with that, and so is what `decide` writes. A process that
is told to use another one refuses to start; one that runs while another generation comes to be served goes over by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from memfold.memory.errors import EmbedderDiffers
from memfold.memory.ports import Embedder, Vectors
from memfold.projections.embedded_by import EmbeddedBy, embedded_by, record
from memfold.projections.generations import Generations, Pointer
from memfold.providers.embedder_choice import as_recorded, chosen, name_of, to_record
from memfold.providers.presets import ModelSettings, close_models, embedder_from

logger = logging.getLogger(__name__)


def models_of(settings: ModelSettings, vectors: Generations, generation: str) -> ModelSettings:
    """The settings with the embedder of a generation; as they are where nothing was recorded yet."""
    by = embedded_by(vectors, generation)
    return settings if by is None else as_recorded(by.settings, settings)


def check_embedder(settings: ModelSettings, vectors: Generations, source: str = "kafka") -> None:
    """Raises EmbedderDiffers where the configuration chooses another embedder than the one that is served.

    `source`: what a rebuild can read now; without a broker that is the archive.
    """
    generation = vectors.served()
    by = embedded_by(vectors, generation)
    if by is None or not chosen(settings):
        return
    configured = embedder_from(settings)
    if (configured.model, configured.dimensions) != (by.model, by.dimensions):
        served = name_of(as_recorded(by.settings, settings))
        where = "" if source == "kafka" else f" --from {source}"
        variables = [f"MEMFOLD_MODELS__{name.upper()}={value}" for name, value in by.settings.items()]
        raise EmbedderDiffers(
            f"the embedder is configured as {configured.model} ({configured.dimensions} dimensions), but {generation} is served, "
            f"whose vectors are {by.model}'s ({by.dimensions}). To go over: `memfold replay rebuild vector --embedder "
            f"{name_of(settings)}{where}`, under this configuration. To stay with {served}: {' '.join(variables)}, or configure none"
        )


def record_first(settings: ModelSettings, vectors: Generations, generation: str) -> None:
    """A generation that nobody has said anything of is the configured embedder's."""
    if embedded_by(vectors, generation) is None:
        embedder = embedder_from(settings)
        record(vectors, generation, EmbeddedBy(embedder.model, embedder.dimensions, to_record(settings)))


class ServedEmbedder:
    """An `Embedder` that is always the served generation's. For one event loop; see memory/following.py for how to use it."""

    def __init__(self, settings: ModelSettings, vectors: Generations) -> None:
        """Raises EmbedderDiffers, and InvalidInput as `embedder_from` does."""
        check_embedder(settings, vectors)
        self._settings, self._vectors = settings, vectors
        self._pointer: Pointer | None = None
        self._recorded = False
        self._embedder = embedder_from(models_of(settings, vectors, vectors.served()))
        self._left: list[Embedder] = []

    def served(self) -> Embedder:
        """The same object until another model is served. Raises InvalidInput where that one lacks something here (its key)."""
        pointer = self._vectors.pointer()
        if not self._recorded or pointer != self._pointer:
            by = embedded_by(self._vectors, self._vectors.served())
            if by is not None and (by.model, by.dimensions) != (
                self._embedder.model,
                self._embedder.dimensions,
            ):
                new = embedder_from(as_recorded(by.settings, self._settings))
                logger.info("vectors are %s's now, no longer %s's", by.model, self._embedder.model)
                # Somebody may be in the middle of a question to it.
                self._left.append(self._embedder)
                self._embedder = new
            self._recorded, self._pointer = by is not None, pointer
        return self._embedder

    @property
    def model(self) -> str:
        return self.served().model

    @property
    def dimensions(self) -> int:
        return self.served().dimensions

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As the served embedder does."""
        return await self.served().embed(texts)

    async def close(self) -> None:
        await close_models(*self._left, self._embedder)

"""Questions that share no word with what answers them find it all the same, with the offline embedder."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from memfold.memory.weights import Weights
from memfold.memory.wording import terms
from memfold.providers.wordllama_embedder import WordLlamaEmbedder
from memfold.serve.evaluation_file import material_from
from memfold.serve.evaluation_room import Room, id_of

PROBES = Path(__file__).with_name("probes.json")


async def test_eighteen_of_twenty_probes_are_answered_in_the_top_three(tmp_path: Path) -> None:
    material = material_from(PROBES)
    texts = {memory.id: memory.text for memory in material.memories}
    assert len(material.questions) == 20
    with closing(Room(tmp_path, WordLlamaEmbedder(), Weights())) as room:
        await room.add("someone", material.memories)
        missed = []
        for asked in material.questions:
            shared = [one for one in asked.evidence if set(terms(texts[one])) & set(terms(asked.question))]
            assert not shared, f"{asked.question} shares a word with {shared}"
            best = [id_of(hit) for hit in await room.search("someone", asked.question, 3)]
            if not set(best) & set(asked.evidence):
                missed.append(asked.question)
    assert len(missed) <= 2, missed

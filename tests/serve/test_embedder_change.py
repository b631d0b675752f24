"""Another embedder on a real stack: searches go on while it comes, no vector of one meets one of the other, and it can be undone."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from memfold import AsyncMemory, Memory
from memfold.memory.errors import EmbedderDiffers, InvalidInput
from memfold.memory.ports import Embedder, Vectors
from memfold.memory.reach import checked_reach
from memfold.memory.recalling import Recalling
from memfold.memory.weights import Weights
from memfold.projections.embedded_by import EmbeddedBy, embedded_by, record
from memfold.projections.generations import FIRST, Generations
from memfold.providers.embedder_choice import named, to_record
from memfold.providers.presets import ModelSettings, embedder_from
from memfold.schemas.keystore import KeyStore
from memfold.schemas.partitions import EVENTS
from memfold.schemas.records import MemoriesDecided
from memfold.serve.cli_whole import app
from memfold.serve.embedded import EmbeddedStack
from memfold.serve.embedding import ServedEmbedder, check_embedder
from memfold.serve.evaluation_file import Remembered
from memfold.serve.evaluation_room import TENANT, Room
from memfold.serve.replaying import estimate_served, rebuild_served, standings_of_workers
from memfold.serve.running import status_now
from memfold.serve.settings import Settings, settings_from
from memfold.streams.projecting import open_batch
from tests.emulator.openai_server import OpenAIServer
from tests.memory.models import HashEmbedder
from tests.serve.checks import everything_holds, reader_of, records, settled
from tests.serve.stacks import running_in

MINILM = named("minilm", ModelSettings())


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A stack of its own: the others' vectors stay what they are."""
    with running_in(tmp_path_factory.mktemp("changing")) as settings:
        yield settings


@pytest.fixture
async def own(changing: Settings) -> AsyncIterator[AsyncMemory]:
    async with AsyncMemory(home=changing.home) as memory:
        yield memory


def change(settings: Settings, models: ModelSettings) -> None:
    rebuild_served(settings, ["vector"], "kafka", lambda built: None, models)


def bodies(settings: Settings) -> list[MemoriesDecided]:
    """Every event's, by partition, in order."""
    reader, keys = reader_of(settings), KeyStore(settings.folder / "keys.db", settings.key_encrypting_key())
    found = [
        event.body
        for partition in range(settings.partitions)
        for event in open_batch(records(reader, EVENTS, partition), keys).events
    ]
    keys.close()
    return found


async def served_model(settings: Settings) -> tuple[str, int]:
    """What the served generation says of itself, held against every vector in it."""
    vectors = Generations(settings.folder / "projections", "vector")
    by = embedded_by(vectors, vectors.served())
    assert by is not None
    roles = {role["role"]: role for role in (await status_now(settings))["roles"]}
    assert roles["vector"]["embedder"] == by.model
    return by.model, by.dimensions


@pytest.mark.timeout(400)
async def test_searches_and_writes_go_on_while_the_vectors_are_made_anew(
    changing: Settings, own: AsyncMemory
) -> None:
    user = f"changing-{uuid.uuid4().hex[:8]}"
    await own.add("I like coffee", user_id=user)
    await own.add_many(
        [{"messages": f"note {n} about the {n}th ferry"} for n in range(300)], user_id=user, infer=False
    )
    await own.add("My cat sleeps on the piano", user_id=user, infer=False)
    rebuilding = asyncio.create_task(asyncio.to_thread(change, changing, MINILM))
    searches = written = 0

    async def searching() -> None:
        nonlocal searches
        while not rebuilding.done():
            found = await own.search("Where does my cat sleep?", user_id=user, limit=3, explain=True)
            assert found["results"][0]["memory"] == "My cat sleeps on the piano"
            assert found["results"][0]["score_details"]["meaning"] > 0.3
            searches += 1

    async def adding() -> None:
        nonlocal written
        while not rebuilding.done():
            await own.add(f"I saw ship number {written} at noon", user_id=user)
            written += 1

    # Beside each other: a write that waits for the switch must not be what keeps searches from being made.
    await asyncio.gather(searching(), adding())
    await rebuilding
    assert searches > 3
    assert await served_model(changing) == ("minilm/all-MiniLM-L6-v2-int8", 384)
    decided = await own.add("Actually, I prefer tea now", user_id=user)
    assert [one["event"] for one in decided["results"]] == ["UPDATE"], (
        "a decision compares old memories by the new model's vectors"
    )
    found = await own.search("animal on an instrument", user_id=user, limit=1, explain=True)
    assert found["results"][0]["memory"] == "My cat sleeps on the piano"
    assert {row["memory"] for row in (await own.get_all(user_id=user, limit=1000))["results"]} >= {
        f"I saw ship number {n} at noon" for n in range(written)
    }
    by = {body.embedder for body in await asyncio.to_thread(bodies, changing)}
    assert by == {"wordllama/l2_supercat_256", "minilm/all-MiniLM-L6-v2-int8"}
    await everything_holds(changing, [])


@pytest.mark.timeout(400)
async def test_an_endpoint_is_asked_once_for_each_text(changing: Settings, own: AsyncMemory) -> None:
    user = f"remote-{uuid.uuid4().hex[:8]}"
    await own.add_many(
        [{"messages": f"fact {n} of the archive"} for n in range(120)], user_id=user, infer=False
    )
    await settled(changing)
    async with OpenAIServer() as server:
        models = ModelSettings(
            embedder_provider="openai",
            embedder_base_url=server.base_url,
            embedder_model="emulated",
            embedder_dimensions=256,
        )
        before = await asyncio.to_thread(estimate_served, changing, "kafka", models)
        assert (before.model, before.cached) == ("openai/emulated", 0)
        assert before.texts >= 120
        assert before.tokens > before.texts
        asked = server.requests["/v1/embeddings"]
        assert not any("fact 7 of the archive" in body["input"] for body in server.bodies), (
            "an estimate sends nothing that people said"
        )
        await asyncio.to_thread(change, changing, models)
        assert server.requests["/v1/embeddings"] > asked
        after = await asyncio.to_thread(estimate_served, changing, "kafka", models)
        assert (after.texts, after.seconds) == (0, 0)
        assert after.cached == before.texts
        first = await standings_of_workers(changing)
        asked = server.requests["/v1/embeddings"]
        await asyncio.to_thread(change, changing, models)
        again = await standings_of_workers(changing)
        assert server.requests["/v1/embeddings"] == asked, "the second time asks no model"
        assert {one: first[one].digest for one in first if one[0] == "vector"} == {
            one: again[one].digest for one in again if one[0] == "vector"
        }
        assert (await own.search("fact 7", user_id=user, limit=1))["results"]
        assert server.requests["/v1/embeddings"] > asked, "questions are embedded by the one that is served"
        await own.add("fact after the change", user_id=user, infer=False)
        assert (await asyncio.to_thread(bodies, changing))[-1].outcome == "decided"
        await everything_holds(changing, [])
        # While the endpoint is there: what came by another model's vectors since may still be on its way.
        await asyncio.to_thread(change, changing, named("wordllama", ModelSettings()))
    assert await served_model(changing) == ("wordllama/l2_supercat_256", 256)
    assert (await own.search("fact 7", user_id=user, limit=1))["results"]


def test_a_worker_that_has_no_key_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(home=tmp_path / "home")
    vectors = Generations(settings.folder / "projections", "vector")
    stack = EmbeddedStack.start(settings)
    try:
        assert len(asyncio.run(standings_of_workers(settings))) == 8, "it has all of its partitions"
        existing = vectors.existing()
        # Nothing is in the log, so the rebuild asks nobody; the worker started without the key and could not embed with it.
        monkeypatch.setenv("MISTRAL_API_KEY", "only-here")
        with pytest.raises(InvalidInput, match=r"cannot go over to g0002 and stays(.|\n)*MISTRAL_API_KEY"):
            change(settings, named("mistral", ModelSettings()))
        assert (vectors.served(), vectors.existing()) == (FIRST, existing), "nothing is left of it"
        assert asyncio.run(served_model(settings)) == ("wordllama/l2_supercat_256", 256)
    finally:
        stack.stop()


async def test_what_is_configured_otherwise_is_refused_with_the_command(changing: Settings) -> None:
    await settled(changing)
    with pytest.raises(EmbedderDiffers) as refused:
        async with AsyncMemory(home=changing.home, models={"embedder_provider": "minilm"}) as memory:
            await memory.search("anything", user_id="alex")
    for part in (
        "minilm/all-MiniLM-L6-v2-int8 (384 dimensions)",
        "wordllama/l2_supercat_256's (256)",
        "`memfold replay rebuild vector --embedder minilm`",
        "MEMFOLD_MODELS__EMBEDDER_PROVIDER=offline",
    ):
        assert part in str(refused.value)


def test_the_command_line_tells_the_cost_and_refuses_what_makes_no_sense(changing: Settings) -> None:
    run = CliRunner()
    home = ["--home", str(changing.home)]
    told = run.invoke(app, ["replay", "rebuild", "vector", "--embedder", "minilm", "--dry-run", *home])
    assert told.exit_code == 0, told.output
    assert "minilm/all-MiniLM-L6-v2-int8 (384 dimensions)" in told.output
    assert "Nothing was changed" in " ".join(told.output.split())
    with pytest.raises(InvalidInput, match="--embedder minilm"):
        run.invoke(app, ["replay", "rebuild", "--dry-run", *home], catch_exceptions=False)
    with pytest.raises(InvalidInput, match="graph holds no vectors"):
        rebuild_served(changing, ["graph"], "kafka", lambda built: None, MINILM)


def test_who_chooses_nothing_follows_what_is_served(tmp_path: Path) -> None:
    vectors = Generations(tmp_path, "vector")
    served = ServedEmbedder(ModelSettings(), vectors)
    first = served.served()
    assert first.model == "wordllama/l2_supercat_256"
    record(vectors, FIRST, EmbeddedBy(first.model, first.dimensions, to_record(ModelSettings())))
    assert served.served() is first, "the same model is the same object"
    second = vectors.create_next()
    minilm = embedder_from(MINILM)
    record(vectors, second, EmbeddedBy(minilm.model, minilm.dimensions, to_record(MINILM)))
    assert served.served() is first, "nothing changes before the pointer moves"
    vectors.serve(second)
    assert served.model == minilm.model
    vectors.serve(FIRST)
    assert served.model == first.model
    check_embedder(ModelSettings(), vectors)
    check_embedder(ModelSettings(embedder_provider="offline"), vectors)
    with pytest.raises(EmbedderDiffers, match=r"vector --embedder minilm`, under"):
        check_embedder(MINILM, vectors)


def test_a_stack_that_would_refuse_is_not_started(tmp_path: Path) -> None:
    settings = settings_from(home=tmp_path, models={"embedder_provider": "minilm"})
    offline = ModelSettings()
    vectors = Generations(tmp_path / "projections", "vector")
    record(vectors, FIRST, EmbeddedBy("wordllama/l2_supercat_256", 256, to_record(offline)))
    for start in (
        lambda: EmbeddedStack.start(settings),
        lambda: Memory(home=tmp_path, models=settings.models).connect(),
    ):
        with pytest.raises(EmbedderDiffers, match=r"--embedder minilm --from archive`"):
            start()
    assert not (tmp_path / "logs").exists(), "nothing was started"


class Swapping(HashEmbedder):
    """Another embedder comes to be served in the middle of the first question to the one before."""

    def __init__(self, one: Embedder, other: Embedder) -> None:
        super().__init__()
        self.one, self.other, self.asked = one, other, list[str]()
        self.now: Embedder = self

    def served(self) -> Embedder:
        return self.now

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        self.now = self.other
        return await self.one.embed(texts)


class Backwards(HashEmbedder):
    model = "backwards-8"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return -(await super().embed(texts))


@pytest.mark.parametrize("wrong", [False, True])
async def test_a_search_that_saw_both_asks_again(tmp_path: Path, wrong: bool) -> None:
    class Narrow(HashEmbedder):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            return np.full((len(texts), 4), 0.5, dtype=np.float32)

    with closing(Room(tmp_path, HashEmbedder(), Weights())) as room:
        await room.add("alex", [Remembered(f"m{n}", f"memory {n}") for n in range(5)])
        swapping = Swapping(Narrow() if wrong else HashEmbedder(), Backwards())
        held = room.recalling
        following = Recalling(TENANT, held.index, held.corpora, held.graph, held.subjects, swapping)
        reach = checked_reach(None, {"user_id": "alex"})
        found = await following.search("memory 3", reach, 5, 0.0)
        assert len(swapping.asked) == 1
        backwards = Recalling(TENANT, held.index, held.corpora, held.graph, held.subjects, Backwards())
        assert found == await backwards.search("memory 3", reach, 5, 0.0)

"""Facts and relations by a chat model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import re

from msgspec import Struct

from memfold.memory.facts import Extraction, FoundFact, FoundRelation, Utterances
from memfold.memory.prompts import EXTRACTION, EXTRACTION_SCHEMA, KINDS
from memfold.providers.chat import ChatModel, ChatPrompt
from memfold.providers.json_answers import UnusableAnswer, read_answer

MOST_FACTS = 200
LONGEST_TEXT = 4_000
LONGEST_NAME = 200
THE_SPEAKER = frozenset({"i", "me", "myself", "user", "the user", "speaker", "the speaker"})
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class _Relation(Struct):
    source: str
    relationship: str
    target: str
    source_type: str | None = None
    target_type: str | None = None
    confidence: float | None = None
    ends: bool | None = None


class _Fact(Struct):
    text: str
    kind: str | None = None
    message: int | None = None
    confidence: float | None = None
    relations: list[_Relation] | None = None


class _Facts(Struct):
    facts: list[_Fact | str]


class OpenAIExtractor:
    """The `FactExtractor` over chat completions. Only what users said is shown; nothing said means no call."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    async def extract(self, said: Utterances) -> Extraction:
        """Raises ModelUnavailable after bounded attempts; an answer that is wrong in one fact is refused whole."""
        places = [
            (item, message)
            for item, spoken in enumerate(said.items)
            for message, words in enumerate(spoken.messages)
            if words.role == "user"
        ]
        if not places:
            return Extraction(facts=[])
        prompt = ChatPrompt("extraction", EXTRACTION, "messages", _shown(said, places), EXTRACTION_SCHEMA)

        def read(text: str) -> list[FoundFact]:
            answer = read_answer(text, _Facts, list_of="facts")
            if len(answer.facts) > MOST_FACTS:
                raise UnusableAnswer(f"{len(answer.facts)} facts; at most {MOST_FACTS} are believed")
            return [_fact(fact, places, said.first_person) for fact in answer.facts]

        facts, call = await self._model.ask(prompt, read)
        return Extraction(facts=facts, calls=[call])

    async def close(self) -> None:
        await self._model.close()


def _shown(said: Utterances, places: list[tuple[int, int]]) -> dict[str, object]:
    messages = []
    for number, (item, message) in enumerate(places):
        said_at = said.items[item].said_at
        shown: dict[str, object] = {"message": number, "said": said.items[item].messages[message].content}
        if said_at is not None:
            shown["said_at"] = said_at.isoformat()
        messages.append(shown)
    return {"speaker": said.first_person, "messages": messages}


def _fact(answer: _Fact | str, places: list[tuple[int, int]], first_person: str) -> FoundFact:
    fact = _Fact(answer) if isinstance(answer, str) else answer
    number = fact.message
    if number is None and len(places) == 1:
        number = 0
    if number is None or not 0 <= number < len(places):
        raise UnusableAnswer(f"a fact is from message {number}, which was not shown")
    item, message = places[number]
    return FoundFact(
        text=_text("fact", fact.text, LONGEST_TEXT),
        kind=fact.kind if fact.kind is not None and fact.kind in KINDS else "miscellaneous",
        item=item,
        message=message,
        confidence=_confidence(fact.confidence),
        relations=[_relation(relation, first_person) for relation in fact.relations or []],
    )


def _relation(answer: _Relation, first_person: str) -> FoundRelation:
    return FoundRelation(
        source=_name(answer.source, first_person),
        relationship=_upper_snake(answer.relationship),
        target=_name(answer.target, first_person),
        source_type=_upper_snake(answer.source_type or "THING"),
        target_type=_upper_snake(answer.target_type or "THING"),
        confidence=_confidence(answer.confidence),
        ends=bool(answer.ends),
    )


def _name(name: str, first_person: str) -> str:
    name = _text("name", name, LONGEST_NAME)
    return first_person if name.casefold() in THE_SPEAKER else name


def _text(what: str, text: str, longest: int) -> str:
    text = " ".join(text.split())
    if not text or len(text) > longest or UNSTORABLE.search(text):
        raise UnusableAnswer(
            f"a {what} is blank, longer than {longest} characters or not storable: {text[:80]!r}"
        )
    return text


def _upper_snake(name: str) -> str:
    snake = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")
    if not snake or len(snake) > LONGEST_NAME:
        raise UnusableAnswer(f"{name[:80]!r} cannot be written in UPPER_SNAKE")
    return snake


def _confidence(confidence: float | None) -> float:
    if confidence is None:
        return 1.0
    if not 0.0 <= confidence <= 1.0:
        raise UnusableAnswer(f"a confidence is {confidence}, not between 0 and 1")
    return confidence

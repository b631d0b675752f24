"""Which messages an extraction call is shown, and how: long commands are cut into a bounded number of calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from memfold.memory.facts import Utterances
from memfold.providers.pieces import pieces

AT_ONCE = 40
CHARACTERS = 24_000
"""Messages and characters of one call. A message is never cut."""
CONTEXT = 1_000
"""Characters kept of each message that is only context; of a call's context the last `AT_ONCE` messages are kept."""


class Place(NamedTuple):
    """Where a message stands in the command."""

    item: int
    message: int


class Shown(NamedTuple):
    """One call: the places behind its numbers, and the JSON that the model sees."""

    places: list[Place]
    data: dict[str, object]


def shown(said: Utterances, roles: Sequence[str]) -> list[Shown]:
    """A bounded number of calls that together show every message of `roles`; none where nobody of them said anything.

    What assistants said between them is shown too, without a number, as context.
    """
    places = [
        Place(item, number)
        for item, spoken in enumerate(said.items)
        for number, message in enumerate(spoken.messages)
        if message.role in roles or message.role == "assistant"
    ]
    messages = [said.items[place.item].messages[place.message] for place in places]
    sizes = [len(message.content) if message.role in roles else 0 for message in messages]
    return [_call(said, cut, roles) for cut in pieces(places, sizes, AT_ONCE, CHARACTERS)]


def _call(said: Utterances, cut: list[Place], roles: Sequence[str]) -> Shown:
    asked: list[Place] = []
    messages: list[dict[str, object]] = []
    context = [place for place in cut if said.items[place.item].messages[place.message].role not in roles]
    left_out = set(context[:-AT_ONCE])
    for place in cut:
        message = said.items[place.item].messages[place.message]
        if message.role in roles:
            messages.append({"message": len(asked), "said": message.content} | _when_and_who(said, place))
            asked.append(place)
        elif place not in left_out:
            messages.append({"context": "assistant", "said": message.content[:CONTEXT]})
    return Shown(asked, {"speaker": said.first_person, "messages": messages})


def _when_and_who(said: Utterances, place: Place) -> dict[str, object]:
    found: dict[str, object] = {}
    said_at = said.said_at(place.item)
    if said_at is not None:
        found["said_at"] = said_at.isoformat()
    speaker = speaker_of(said, place)
    if speaker:
        found["speaker"] = speaker
    return found


def speaker_of(said: Utterances, place: Place) -> str:
    """Who said a message where it is not the subject: the message's name, "assistant" for a nameless one; else empty."""
    message = said.items[place.item].messages[place.message]
    return message.name or ("assistant" if message.role == "assistant" else "")

"""Which messages an extraction call is shown, and how: long commands are cut into a bounded number of calls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from memfold.memory.facts import Utterances

AT_ONCE = 40
CHARACTERS = 24_000
"""Messages and characters of one call. A message is never cut."""
SHARE = 4
"""A long command has a quarter of its messages, and of its characters, in one call instead."""
MOST_CALLS = 12
"""What follows: at most four calls are full by their number, seven by their length, and one is left over."""
CONTEXT = 1_000
"""Characters kept of each message that is only context."""


class Place(NamedTuple):
    """Where a message stands in the command."""

    item: int
    message: int


class Shown(NamedTuple):
    """One call: the places behind its numbers, and the JSON that the model sees."""

    places: list[Place]
    data: dict[str, object]


class _Line(NamedTuple):
    place: Place
    asked: bool
    length: int


def shown(said: Utterances, roles: Sequence[str]) -> list[Shown]:
    """At most `MOST_CALLS` calls that together show every message of `roles`; none where nobody of them said anything.

    What assistants said between them is shown too, without a number, as context.
    """
    lines = [
        _Line(Place(item, number), message.role in roles, len(message.content))
        for item, spoken in enumerate(said.items)
        for number, message in enumerate(spoken.messages)
        if message.role in roles or message.role == "assistant"
    ]
    asked = [line.length for line in lines if line.asked]
    if not asked:
        return []
    most = max(AT_ONCE, math.ceil(len(asked) / SHARE))
    longest = max(CHARACTERS, math.ceil(sum(asked) / SHARE))
    return [_call(said, cut) for cut in _cut(lines, most, longest)]


def _cut(lines: list[_Line], most: int, longest: int) -> Iterator[list[_Line]]:
    """Pieces of at most `most` asked messages and `longest` of their characters; context stays with what came before."""
    piece: list[_Line] = []
    count = size = 0
    for line in lines:
        if line.asked and count and (count == most or size + line.length > longest):
            yield piece
            piece, count, size = [], 0, 0
        piece.append(line)
        count, size = count + line.asked, size + line.length * line.asked
    yield piece


def _call(said: Utterances, lines: list[_Line]) -> Shown:
    places: list[Place] = []
    messages: list[dict[str, object]] = []
    for place, asked, _ in lines:
        content = said.items[place.item].messages[place.message].content
        if asked:
            messages.append({"message": len(places), "said": content} | _when_and_who(said, place))
            places.append(place)
        else:
            messages.append({"context": "assistant", "said": content[:CONTEXT]})
    return Shown(places, {"speaker": said.first_person, "messages": messages})


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

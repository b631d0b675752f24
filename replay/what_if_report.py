"""The report of a what-if: what is gained, lost and changed, command by command side by side, and what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from memfold.audit.bounds import Bounds, Directory
from memfold.audit.report import Report, Table, window_of
from memfold.memory.errors import InvalidInput, InvalidType
from memfold.memory.texts import same_key
from memfold.replay.what_if import WhatIf
from memfold.replay.what_if_decided import Both, DecidedAgain
from memfold.replay.what_if_difference import Difference, difference
from memfold.schemas.records import AddRequested, MemoriesDecided, ModelCall, UpdateRequested

MOST_COMMANDS = 1_000
"""Rows of the table of commands; what is more is counted."""


class Prices(NamedTuple):
    """For a million tokens of input and of output, in whatever currency."""

    input: float
    output: float

    def of(self, calls: Sequence[ModelCall]) -> float:
        tokens = (sum(call.input_tokens for call in calls), sum(call.output_tokens for call in calls))
        return (tokens[0] * self.input + tokens[1] * self.output) / 1_000_000


def checked_prices(prices: object) -> Prices | None:
    """Raises InvalidInput, InvalidType."""
    if prices is None:
        return None
    if not isinstance(prices, tuple | list) or len(prices) != 2:
        raise InvalidType(
            f"prices must be two numbers, of a million tokens of input and of output, not {prices!r}"
        )
    if not all(isinstance(one, int | float) and one >= 0 for one in prices):
        raise InvalidInput(f"prices must be numbers that are not negative, not {prices!r}")
    return Prices(*prices)


class Asking(NamedTuple):
    """What was asked: what differs from the configuration, in words, the price if one was given, and the stretch."""

    bounds: Bounds
    differs: Sequence[tuple[str, str]]
    prices: Prices | None = None


def estimate_report(found: WhatIf, asking: Asking) -> Report:
    """Of a dry run: nothing was asked."""
    tally, following = found.tally, sum(both.following for both in found.decided)
    calls = tally.unasked + following
    about = [
        *_asked(found, asking),
        ("answers that are on record", len(tally.reused)),
        ("calls that it would make, about", calls),
        ("tokens of input, about", tally.tokens),
    ]
    if asking.prices is not None:
        about.append(("cost of the input, about", round(tally.tokens * asking.prices.input / 1_000_000, 6)))
    return Report("what_if", "What if: an estimate", about, [], notes=[
        "Nothing was asked and nothing was changed. Exact are the questions that follow from what is on record; what is decided after "
        f"an answer that is not there yet is guessed from how it went then ({following} calls, without their tokens).",
        "Of the tokens, counted as a quarter of the characters, those of the answers are missing.",
    ])  # fmt: skip


def what_if_report(found: WhatIf, asking: Asking, directory: Directory) -> Report:
    """The page, and with `json()` the same for programs."""
    differences = [(both, difference(both.recorded, both.shadow)) for both in found.decided]
    who = {both.subject: directory.name_of(both.subject) or "erased" for both in found.decided}
    apart = list(_apart(found.decided, who))
    of = [one for _, one in differences]
    about = [
        *_asked(found, asking),
        ("facts the same", sum(one.same for one in of)),
        ("facts gained", sum(len(one.gained) for one in of)),
        ("facts lost", sum(len(one.lost) for one in of)),
        ("facts changed", sum(len(one.changed) for one in of)),
        ("relations gained", sum(len(one.relations_gained) for one in of)),
        ("relations lost", sum(len(one.relations_lost) for one in of)),
        ("commands decided otherwise", len(apart)),
        *_taken(found, asking.prices),
    ]
    return Report(
        "what_if", "What if", about,
        [Table("facts", "Facts", ["user", "what", "recorded", "what if"], list(_facts(differences, who))),
         Table("relations", "Relations", ["user", "what", "from", "relation", "to"], list(_relations(differences, who))),
         Table("commands", "Commands decided otherwise, side by side",
               ["at", "user", "said", "recorded", "what if", "command_id"], apart[:MOST_COMMANDS])],
        _bad(found), [*_NOTES, *_more(apart)],
    )  # fmt: skip


_NOTES = [
    "Nothing was written to the log or to what is served: this is what would have been decided.",
    "Facts and relations are compared as they stand after the last command. A fact that says the same in the same scope is the same; "
    "changed: the same memory says it in other words, or says what became of it otherwise.",
    "A hand-made update or delete follows its memory by what it said; where nothing says that here, it changed nothing.",
    "Tokens are those of the chat model. Texts are embedded again by the served embedder, which is not counted.",
]


def _asked(found: WhatIf, asking: Asking) -> list[tuple[str, Any]]:
    commands = sum(one.asked is not None for both in found.decided for one in both.steps)
    undecidable = ", ".join(f"{count} {why}" for why, count in found.commands.undecidable.items())
    return [
        *window_of(asking.bounds),
        *asking.differs,
        ("commands decided again", commands),
        ("not decidable", undecidable or 0),
        ("not decided by the worker yet, left out", found.commands.waiting),
    ]


def _taken(found: WhatIf, prices: Prices | None) -> list[tuple[str, Any]]:
    recorded = [call for both in found.decided for one in both.steps for call in one.event.body.calls]
    now = [call for both in found.decided for one in both.steps for call in one.body.calls]
    taken: list[tuple[str, Any]] = [
        ("answers taken from the record", len(found.tally.reused)),
        ("calls made now", len(found.tally.asked)),
        ("answers that could not be used", found.tally.unusable),
        ("tokens as recorded, in and out", _tokens(recorded)),
        ("tokens of the what-if, in and out", _tokens(now)),
        ("tokens paid now, in and out", _tokens(found.tally.asked)),
    ]
    if prices is None:
        return [*taken, ("cost", "no price was given")]
    return [
        *taken,
        ("cost of the what-if, had all been asked", round(prices.of(now), 6)),
        ("cost paid now", round(prices.of(found.tally.asked), 6)),
    ]


def _tokens(calls: Sequence[ModelCall]) -> str:
    return f"{sum(call.input_tokens for call in calls)} + {sum(call.output_tokens for call in calls)}"


def _bad(found: WhatIf) -> list[str]:
    bad = []
    if found.tally.unusable:
        bad.append(
            f"{found.tally.unusable} answers could not be used: those messages are kept as they were said."
        )
    lost = sum(both.not_followed for both in found.decided)
    if lost:
        bad.append(f"{lost} hand-made updates or deletes found no memory that says what was meant.")
    return bad


def _more(apart: Sequence[object]) -> list[str]:
    left = len(apart) - MOST_COMMANDS
    return (
        [f"{left} more commands were decided otherwise; narrow since and until to see them."]
        if left > 0
        else []
    )


def _facts(differences: Sequence[tuple[Both, Difference]], who: Mapping[str, str]) -> Iterator[list[Any]]:
    for both, found in differences:
        user = who[both.subject]
        yield from ([user, "gained", None, known.text] for known in found.gained)
        yield from ([user, "lost", known.text, None] for known in found.lost)
        yield from ([user, "changed", then.text, now.text] for then, now in found.changed)


def _relations(differences: Sequence[tuple[Both, Difference]], who: Mapping[str, str]) -> Iterator[list[Any]]:
    for both, found in differences:
        for what, triples in (("gained", found.relations_gained), ("lost", found.relations_lost)):
            yield from ([who[both.subject], what, *triple] for triple in triples)


def _apart(decided: Sequence[Both], who: Mapping[str, str]) -> Iterator[list[Any]]:
    """A row for each command that was decided otherwise."""
    for both in decided:
        for one in both.steps:
            if one.asked is None or _core(one.event.body) == _core(one.body):
                continue
            did, would = _did(one.event.body), _did(one.body)
            at, command_id = one.asked.envelope.occurred_at, one.asked.envelope.command_id
            yield [at, who[both.subject], _said(one), did, would, command_id]


def _core(body: MemoriesDecided) -> list[tuple[object, ...]]:
    """What it did, without ids: those follow from the order inside a command."""
    operations = [(done.op, same_key(done.text), done.scope) for done in body.operations]
    relations = [
        (one.op, same_key(one.source), one.relationship, same_key(one.target)) for one in body.relations
    ]
    return [(body.outcome,), *operations, *relations]


def _did(body: MemoriesDecided) -> str:
    operations = [f"{done.op} {done.text}" for done in body.operations]
    relations = [f"{one.op} {one.source} {one.relationship} {one.target}" for one in body.relations]
    outcome = [] if body.outcome == "decided" else [f"{body.outcome}: {body.reason}"]
    return "; ".join([*outcome, *operations, *relations]) or "nothing"


def _said(one: DecidedAgain) -> str:
    assert one.asked is not None
    command = one.asked.command
    if isinstance(command, AddRequested):
        return " / ".join(message.content for item in command.items for message in item.messages)
    name = type(command).__name__.removesuffix("Requested").lower()
    return f"{name}: {command.text}" if isinstance(command, UpdateRequested) else name

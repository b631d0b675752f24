"""What stands beside a verb: its objects, what follows a preposition, and a deed in words."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.tokens import Token

from memfold.providers.entities import Entity, is_name, name_of, with_conjuncts

DEED_PARTS = frozenset({"dobj", "prt", "prep", "compound", "advmod", "acomp", "xcomp"})


def objects(verb: Token, *kinds: str) -> Iterator[Token]:
    """Direct objects and those joined to them by "and"."""
    for child in verb.children:
        if child.dep_ in (kinds or ("dobj", "pobj")) and child.i > verb.i:
            yield from with_conjuncts(child)


def after(head: Token, *prepositions: str) -> Iterator[Token]:
    """Objects of a preposition that hangs on the word or on its direct object: "work at X", "a job at X"."""
    for child in head.children:
        if child.dep_ == "prep" and child.lower_ in prepositions:
            yield from objects(child, "pobj")
        elif (
            child.dep_ in {"dobj", "attr", "prt", "advmod", "prep"}
            and child.i > head.i
            and not is_name(child)
        ):
            yield from after(child, *prepositions)


def called(noun: Token) -> Entity | None:
    """The name of "a band called Muse"."""
    for child in noun.children:
        if child.dep_ == "acl" and child.lower_ in {"called", "named"}:
            for name in objects(child, "oprd", "dobj", "attr"):
                if name.pos_ == "PROPN":
                    return Entity(name_of(name), "THING")
    return None


def stands_alone(verb: Token) -> bool:
    """Whether a deed can be understood without what was said before: "learn Spanish", not "check them out"."""
    return not any(child.dep_ in {"dobj", "dative"} and child.pos_ == "PRON" for child in verb.children)


def deed(verb: Token) -> str:
    """The verb with what belongs to it, without its time: "learn Spanish" of "to learn Spanish next year"."""
    end = verb
    for child in verb.rights:
        if child.dep_ not in DEED_PARTS or child.i > end.right_edge.i + 1 or _is_time(child):
            break
        end = child.right_edge
    words = verb.doc[verb.i : end.i + 1]
    return str(words.text).rstrip(" .,;:!")


def _is_time(token: Token) -> bool:
    return any(
        word.ent_type_ in {"DATE", "TIME"} or word.lower_ in {"anymore", "now"} for word in token.subtree
    )

"""All rules, and what they find in one parsed sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from spacy.tokens import Span

from memfold.memory.facts import FoundRelation
from memfold.providers import (
    rules_mentions,
    rules_people,
    rules_self,
    rules_study,
    rules_taste,
    rules_work_and_place,
)
from memfold.providers.clauses import Clause, clauses
from memfold.providers.rules_plan import plan

CLAUSE_RULES: tuple[Callable[[Clause], Iterator[FoundRelation]], ...] = (
    rules_people.met,
    rules_people.knows,
    rules_people.married,
    rules_people.friends_with,
    rules_people.has_kin,
    rules_self.profession,
    rules_self.diet,
    rules_self.allergic,
    rules_self.has,
    rules_self.ill,
    rules_taste.taste,
    rules_taste.cannot_stand,
    rules_taste.fond_of,
    rules_taste.habit,
    rules_taste.instead_of,
    rules_taste.switched,
    rules_taste.subscribes,
    rules_people.lives_with,
    rules_people.dates,
    rules_work_and_place.works_at,
    rules_work_and_place.left_work,
    rules_study.studies_at,
    rules_study.learns,
    rules_work_and_place.lives_in,
    rules_work_and_place.moved,
    rules_work_and_place.comes_from,
    plan,
)
SENTENCE_RULES: tuple[Callable[[Span, str], Iterator[FoundRelation]], ...] = (
    rules_self.named,
    rules_taste.favourite,
    rules_mentions.kin,
    rules_mentions.belongs_to,
    rules_mentions.works_with,
    rules_mentions.my_condition,
)


def relations_in(sentence: Span, first_person: str) -> list[FoundRelation]:
    """What the rules find in a sentence, each relation once, in the order of the rules."""
    found: dict[tuple[str, str, str], FoundRelation] = {}
    said = list(clauses(sentence, first_person))
    for clause_rule in CLAUSE_RULES:
        for clause in said:
            for relation in clause_rule(clause):
                found.setdefault((relation.source, relation.relationship, relation.target), relation)
    for sentence_rule in SENTENCE_RULES:
        for relation in sentence_rule(sentence, first_person):
            found.setdefault((relation.source, relation.relationship, relation.target), relation)
    return list(found.values())

"""What the rules find in a sentence, and in which sentences they must find nothing."""

from __future__ import annotations

import pytest

from memfold.memory.facts import FoundRelation
from memfold.providers.offline_extractor import OfflineExtractor
from memfold.providers.relation_rules import relations_in
from memfold.providers.spacy_model import parser
from tests.providers.saying import in_words, said

FOUND = {
    "I met Sarah from Google yesterday at the conference.": "alex MET Sarah[PERSON]; Sarah WORKS_AT Google[COMPANY]",
    "Yesterday I met Olivia from Spotify at a concert.": "alex MET Olivia[PERSON]; Olivia WORKS_AT Spotify[COMPANY]",
    "I've met Daniel and Lisa.": "alex MET Daniel[PERSON]; alex MET Lisa[PERSON]",
    "I know Peter from university.": "alex KNOWS Peter[PERSON]",
    "My name is Alexander.": "alex HAS_NAME Alexander[PERSON]",
    "Call me Al.": "alex HAS_NICKNAME Al[PERSON]",
    "I'm Tom and I live in Oslo.": "alex HAS_NAME Tom[PERSON]; alex LIVES_IN Oslo[PLACE]",
    "I am a software engineer.": "alex HAS_PROFESSION software engineer[PROFESSION]",
    "I work for Microsoft as a data scientist.": (
        "alex WORKS_AT Microsoft[COMPANY]; alex HAS_PROFESSION data scientist[PROFESSION]"
    ),
    "I've worked at Equinor for three years.": "alex WORKS_AT Equinor[COMPANY]",
    "I just started working at Netflix.": "alex WORKS_AT Netflix[COMPANY]",
    "I got a new job at Spotify.": "alex WORKS_AT Spotify[COMPANY]",
    "I no longer work at Google.": "alex WORKS_AT Google[COMPANY] ends",
    "I left Google for a startup.": "alex WORKS_AT Google[COMPANY] ends",
    "I quit my job at Amazon.": "alex WORKS_AT Amazon[COMPANY] ends",
    "I used to work for IBM but now I work for Oracle.": (
        "alex WORKS_AT IBM[COMPANY] ends; alex WORKS_AT Oracle[COMPANY]"
    ),
    "Sarah works at Google and lives in London.": "Sarah WORKS_AT Google[COMPANY]; Sarah LIVES_IN London[PLACE]",
    "Tom and Anna live in Paris.": "Tom LIVES_IN Paris[PLACE]; Anna LIVES_IN Paris[PLACE]",
    "I moved from Oslo to Bergen.": "alex LIVES_IN Bergen[PLACE]; alex LIVES_IN Oslo[PLACE] ends",
    "I used to live in Paris.": "alex LIVES_IN Paris[PLACE] ends",
    "Correction: I live in Bergen now, not Oslo.": "alex LIVES_IN Bergen[PLACE]",
    "I'm from Norway.": "alex COMES_FROM Norway[PLACE]",
    "I was born in Madrid.": "alex BORN_IN Madrid[PLACE]",
    "I study physics at MIT.": "alex STUDIES physics[THING]; alex STUDIES_AT MIT[COMPANY]",
    "Actually, I prefer tea now": "alex PREFERS tea[DRINK]",
    "I prefer tea over coffee.": "alex PREFERS tea[DRINK]",
    "I like coffee but not tea.": "alex LIKES coffee[DRINK]",
    "I don't like tea or coffee.": "alex DISLIKES tea[DRINK]; alex DISLIKES coffee[DRINK]",
    "I don't like coffee anymore.": "alex LIKES coffee[DRINK] ends",
    "I no longer like coffee.": "alex LIKES coffee[DRINK] ends",
    "I drink tea instead of coffee.": "alex DRINKS tea[DRINK]; alex DRINKS coffee[DRINK] ends",
    "I stopped drinking coffee.": "alex DRINKS coffee[DRINK] ends",
    "I hate mushrooms.": "alex HATES mushrooms[FOOD]",
    "I can't stand horror movies.": "alex HATES horror movies[THING]",
    "I love hiking and swimming.": "alex LOVES hiking[ACTIVITY]; alex LOVES swimming[ACTIVITY]",
    "I really enjoy playing the piano.": "alex LIKES playing the piano[ACTIVITY]",
    "I'm not a fan of opera.": "alex DISLIKES opera[THING]",
    "I'd like to learn the guitar.": "alex WANTS learn the guitar[ACTIVITY]",
    "I want a new bike.": "alex WANTS new bike[THING]",
    "I need a vacation.": "alex NEEDS vacation[THING]",
    "My favourite color is blue.": "alex FAVORITE_COLOR blue[THING]",
    "Tom Hanks is my favorite actor.": "alex FAVORITE_ACTOR Tom Hanks[PERSON]",
    "I'm allergic to shellfish.": "alex ALLERGIC_TO shellfish[FOOD]",
    "I have a peanut allergy.": "alex ALLERGIC_TO peanut[FOOD]",
    "I'm vegetarian.": "alex FOLLOWS_DIET vegetarian[THING]",
    "I have diabetes.": "alex HAS_CONDITION diabetes[THING]",
    "I have two cats.": "alex HAS two cats[ANIMAL]",
    "I have a dog named Rex.": "alex HAS_PET Rex[ANIMAL]",
    "My dog Rex loves carrots.": "alex HAS_PET Rex[ANIMAL]; Rex LOVES carrots[FOOD]",
    "My sister Maria lives in Bergen.": "alex HAS_SISTER Maria[PERSON]; Maria LIVES_IN Bergen[PLACE]",
    "Maria is my sister.": "alex HAS_SISTER Maria[PERSON]",
    "My mother's name is Ingrid.": "alex HAS_MOTHER Ingrid[PERSON]",
    "My wife Anna is a doctor.": "alex MARRIED_TO Anna[PERSON]; Anna HAS_PROFESSION doctor[PROFESSION]",
    "I'm married to Anna.": "alex MARRIED_TO Anna[PERSON]",
    "Tom is my best friend.": "alex FRIEND_OF Tom[PERSON]",
    "I'm going to visit Japan next week.": "alex PLANS_TO_VISIT Japan[PLACE]",
    "We are moving to Berlin in May.": "alex PLANS_TO_MOVE_TO Berlin[PLACE]",
    "I'm planning a trip to Italy in September.": "alex PLANS trip to Italy[EVENT]",
    "I'm planning to learn Spanish.": "alex PLANS learn Spanish[ACTIVITY]",
    "I will run a marathon in June.": "alex PLANS run a marathon[ACTIVITY]",
    "I speak Norwegian and English.": "alex SPEAKS Norwegian[THING]; alex SPEAKS English[LANGUAGE]",
    "Our vet is Dr. Nakamura.": "Dr. Nakamura HAS_PROFESSION vet[PROFESSION]",
    "The doorman's name is Hassan.": "Hassan HAS_PROFESSION doorman[PROFESSION]",
    "My nephew is called Mateo.": "alex HAS_RELATIVE Mateo[PERSON]",
    "Rex, our dog, is ill.": "alex HAS_PET Rex[ANIMAL]",
    "Maria isn't my manager.": "alex HAS_MANAGER Maria[PERSON] ends",
    "My thesis supervisor is Prof. Achebe.": "alex KNOWS Prof. Achebe[PERSON]",
    "Ravi Menon is my manager at Infosys.": (
        "alex HAS_MANAGER Ravi Menon[PERSON]; alex WORKS_AT Infosys[COMPANY]"
    ),
    "My tortoise Oscar is older than me.": "alex HAS_PET Oscar[ANIMAL]",
    "Everybody calls me Alex.": "alex HAS_NICKNAME Alex[PERSON]",
    "I was diagnosed with asthma.": "alex HAS_CONDITION asthma[THING]",
    "I'm diabetic.": "alex HAS_CONDITION diabetic[THING]",
    "I've got high blood pressure.": "alex HAS_CONDITION high blood pressure[THING]",
    "I use an inhaler for my asthma.": "alex USES inhaler[THING]; alex HAS_CONDITION asthma[THING]",
    "We live in a small house in Leeds.": "alex LIVES_IN Leeds[PLACE]",
    "I was born in Kraków.": "alex BORN_IN Kraków[PLACE]",
    "I'm learning the violin.": "alex STUDIES violin[THING]",
    "I'm taking a course in law.": "alex STUDIES law[THING]",
    "I'm doing a master's in marine biology at the University of Bergen.": (
        "alex STUDIES marine biology[THING]; alex STUDIES_AT University of Bergen[COMPANY]"
    ),
    "My daughter Ines goes to the French school.": (
        "alex HAS_DAUGHTER Ines[PERSON]; Ines STUDIES_AT French school[COMPANY]"
    ),
    "I have a subscription to HelloFresh.": "alex USES HelloFresh[COMPANY]",
    "We use a cleaning service called Blitzblank.": "alex USES Blitzblank[THING]",
    "I share the flat with Tom.": "alex KNOWS Tom[PERSON]",
    "Tom is dating Anna.": "Tom HAS_PARTNER Anna[PERSON]",
    "My favourite football club is Celtic.": "alex FAVORITE_FOOTBALL_CLUB Celtic[COMPANY]",
    "I own a Tesla Model 3.": "alex OWNS Tesla Model 3[PRODUCT]",
    "We're off to Vietnam in November.": "alex PLANS_TO_VISIT Vietnam[PLACE]",
    "We fly to Reykjavik tomorrow.": "alex PLANS_TO_VISIT Reykjavik[PLACE]",
    "We decided: I'm moving to Auckland next year.": "alex PLANS_TO_MOVE_TO Auckland[PLACE]",
    "I don't work at Google.": "alex WORKS_AT Google[COMPANY] ends",
    "Remember that I'm allergic to bees.": "alex ALLERGIC_TO bees[THING]",
}

NOTHING = (
    "If I lived in Oslo, I would ski more.",
    "I wish I worked at Google.",
    "If I work at Google, my parents are happy.",
    '"I like tea." That was his answer.',
    "I think I like jazz.",
    "I might move to Rome.",
    "Maybe I like opera.",
    "I hardly ever drink alcohol.",
    "Do you like coffee?",
    "What if I moved to Spain?",
    "Imagine I live on Mars.",
    '"I love Paris," she said.',
    "She said I like tea.",
    "My friend says I work at NASA.",
    "Forget that I like coffee.",
    "Nobody likes coffee.",
    "She works at Google.",
    "I like it.",
    "I like the way you talk.",
    "I love your answer.",
    "I love you.",
    "I have a question.",
    "I need help with my homework.",
    "I want you to help me.",
    "I want to know the weather.",
    "I'll call you tomorrow.",
    "I am going to be late.",
    "I bought a gift for Sarah from Amazon.",
    "I left my keys at Google.",
    "I never worked at Google.",
    "I didn't move to Bergen.",
    "I was a teacher.",
    "I'm a terrible dancer.",
    "I met the CEO of Google.",
    "My favorite book isn't Dune.",
    "I work at a bank.",
    "Paris is the capital of France.",
    "Apple released a new phone.",
    "I would never work at Facebook.",
    "I'm thinking about moving to Canada.",
    "I'd love to check them out.",
    "I'm planning a few.",
    "I bought my accountant Excel.",
    "The doctor's name is House.",
    "My doctor was Dr. Lee.",
    "My doctor Monday appointment was cancelled.",
    "My sister is in Paris.",
    "My former boss at Google was rude.",
    "They called me Al once.",
    "I was never diagnosed with asthma.",
    "I'm not diabetic.",
    "I've got to go.",
    "My asthma is gone.",
    "I live in a fantasy world in Oslo.",
    "I'm learning a lot.",
    "I'm learning the ropes.",
    "I'm taking classes in Oslo.",
    "I go to school in Hanoi.",
    "I have an answer to Spotify.",
    "I share the file with Tom.",
    "I'm dating a colleague.",
    "We're off to bed.",
    "We fly to Rome every summer.",
    "She decided that I'm moving to Auckland.",
)


@pytest.mark.parametrize(("sentence", "expected"), FOUND.items())
def test_relations_are_found(sentence: str, expected: str) -> None:
    assert _found(sentence) == set(expected.split("; "))


@pytest.mark.parametrize("sentence", NOTHING)
def test_nothing_is_invented(sentence: str) -> None:
    assert _found(sentence) == set()


@pytest.mark.parametrize("sentence", [*FOUND, *NOTHING])
def test_what_is_sure_is_said_to_be(sentence: str) -> None:
    for relation in _relations(sentence):
        assert 0.5 < relation.confidence < 1.0
        assert relation.relationship.replace("_", "").isupper()
        assert relation.source == "alex" or relation.source in sentence
        assert relation.target in sentence


def _found(sentence: str) -> set[str]:
    return in_words(_relations(sentence))


def _relations(sentence: str) -> list[FoundRelation]:
    return [found for part in parser()(sentence).sents for found in relations_in(part, "alex")]


async def test_a_role_tells_who_of_a_name_is_meant() -> None:
    (fact,) = (await OfflineExtractor().extract(said("My dentist Maria lives in Bergen"))).facts
    which = {(r.relationship, r.source_which, r.target_which) for r in fact.relations}
    assert which == {("HAS_DOCTOR", "", "dentist"), ("LIVES_IN", "dentist", "")}

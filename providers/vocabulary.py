"""The words of the offline rules: which verb or noun stands for which relation.

Relations that the rules can find, by what they join to the person (or the named third person) who is their source:

| relation | target | kind of fact |
|---|---|---|
| LIKES, LOVES, PREFERS, DISLIKES, HATES, WANTS, NEEDS, FAVORITE_<NOUN> | anything named or a noun; ACTIVITY | preferences |
| EATS, DRINKS | a noun | preferences |
| PLAYS | a noun | activities |
| SPEAKS, USES, DRIVES, OWNS, HAS | a noun | personal details |
| HAS_NAME, HAS_NICKNAME, LIVES_IN, COMES_FROM, BORN_IN, GREW_UP_IN | a name, a PLACE | personal details |
| HAS_MOTHER ... HAS_PET (see KIN), FRIEND_OF, MARRIED_TO, MET, KNOWS | PERSON, ANIMAL | personal details |
| WORKS_AT, HAS_PROFESSION, STUDIES, STUDIES_AT, HAS_MANAGER, HAS_COLLEAGUE | COMPANY, PROFESSION, subject, PERSON | professional details |
| ALLERGIC_TO, FOLLOWS_DIET, HAS_CONDITION | FOOD, THING | health and wellness |
| PLANS, PLANS_TO_VISIT, PLANS_TO_MOVE_TO | ACTIVITY, PLACE | plans and intentions |
"""

from __future__ import annotations

from memfold.memory.relating import LIKING, TASTES


def wordset(text: str) -> frozenset[str]:
    return frozenset(text.split())


TASTE = {
    "like": "LIKES",
    "enjoy": "LIKES",
    "love": "LOVES",
    "adore": "LOVES",
    "prefer": "PREFERS",
    "dislike": "DISLIKES",
    "hate": "HATES",
    "detest": "HATES",
    "loathe": "HATES",
    "want": "WANTS",
    "need": "NEEDS",
}
DISLIKING = TASTES - LIKING

HABIT = {
    "eat": "EATS",
    "drink": "DRINKS",
    "play": "PLAYS",
    "speak": "SPEAKS",
    "use": "USES",
    "drive": "DRIVES",
    "own": "OWNS",
    "study": "STUDIES",
}

KIN = {
    **dict.fromkeys(("mother", "mom", "mum", "mama"), "HAS_MOTHER"),
    **dict.fromkeys(("father", "dad", "papa"), "HAS_FATHER"),
    "sister": "HAS_SISTER",
    "brother": "HAS_BROTHER",
    "daughter": "HAS_DAUGHTER",
    "son": "HAS_SON",
    **dict.fromkeys(("wife", "husband", "spouse"), "MARRIED_TO"),
    **dict.fromkeys(("partner", "girlfriend", "boyfriend", "fiancé", "fiancée", "fiance"), "HAS_PARTNER"),
    **dict.fromkeys(("cousin", "uncle", "aunt", "nephew", "niece"), "HAS_RELATIVE"),
    **dict.fromkeys(("grandmother", "grandma", "grandfather", "grandpa"), "HAS_RELATIVE"),
    **dict.fromkeys(("friend", "buddy", "bestie"), "FRIEND_OF"),
    **dict.fromkeys(("boss", "manager", "supervisor"), "HAS_MANAGER"),
    **dict.fromkeys(("colleague", "coworker", "teammate"), "HAS_COLLEAGUE"),
    **dict.fromkeys(("neighbor", "neighbour"), "HAS_NEIGHBOUR"),
    **dict.fromkeys(("roommate", "flatmate", "housemate"), "KNOWS"),
    **dict.fromkeys(
        ("doctor", "dentist", "therapist", "physician", "gp", "physio", "cardiologist"), "HAS_DOCTOR"
    ),
    **dict.fromkeys(("physiotherapist", "psychologist", "psychiatrist", "dermatologist"), "HAS_DOCTOR"),
    **dict.fromkeys(("dog", "puppy", "cat", "kitten", "horse", "rabbit", "hamster", "parrot"), "HAS_PET"),
    **dict.fromkeys(
        ("tortoise", "turtle", "snake", "lizard", "gecko", "rat", "ferret", "goldfish"), "HAS_PET"
    ),
    **dict.fromkeys(
        ("budgie", "canary", "pony", "kitty", "greyhound", "labrador", "poodle", "beagle"), "HAS_PET"
    ),
    **dict.fromkeys(("terrier", "spaniel", "bulldog", "dachshund", "collie", "retriever"), "HAS_PET"),
}

POSSESSIONS = wordset(
    """
    car bike bicycle motorcycle motorbike scooter van
    boat balcony house apartment flat garden piano guitar violin drone laptop phone kid kids child
    son daughter twin brother sister sibling wife husband girlfriend boyfriend dog puppy cat kitten horse rabbit
    hamster parrot pet fish
    """
)
CONDITIONS = wordset(
    """
    diabetes asthma migraine migraines arthritis adhd autism depression anxiety insomnia epilepsy hypertension eczema
    psoriasis celiac coeliac dyslexia diabetic asthmatic epileptic dyslexic autistic anaemia anemia hypothyroidism
    """
)
DIETS = wordset(
    """
    vegetarian vegan pescatarian gluten-free keto halal kosher
    """
)

PROFESSIONS = wordset(
    """
    accountant actor actress actuary analyst architect artist assistant astronomer attorney author baker banker barber
    barista bartender biologist bookkeeper builder butcher carpenter cashier chef chemist clerk coach consultant
    contractor cook dancer dentist designer developer director doctor driver economist editor electrician engineer
    entrepreneur farmer firefighter fisherman florist freelancer gardener geologist hairdresser historian illustrator
    instructor interpreter investor janitor journalist judge lawyer lecturer librarian linguist manager mathematician
    mechanic midwife model musician novelist nurse nutritionist officer optician painter paralegal paramedic
    pharmacist philosopher photographer physician physicist physiotherapist pianist pilot plumber poet policeman
    politician postman principal producer professor programmer psychiatrist psychologist receptionist recruiter
    reporter researcher sailor salesman scientist sculptor secretary singer soldier statistician student surgeon
    surveyor tailor teacher technician teller therapist trainer translator tutor veterinarian vet waiter waitress
    welder writer zookeeper zoologist caretaker cleaner doorman handyman nanny babysitter
    """
)

DRINKS = wordset(
    """
    tea coffee water milk juice beer wine soda cola lemonade whisky whiskey vodka gin rum cocktail espresso latte
    cappuccino mocha smoothie kombucha champagne cider cocoa matcha chai mead sake tequila
    """
)
FOODS = wordset(
    """
    pizza pasta spaghetti lasagna sushi ramen noodle rice bread cheese butter egg yogurt yoghurt cereal oatmeal meat
    beef steak pork bacon ham chicken turkey lamb fish salmon tuna cod seafood shellfish shrimp prawn crab lobster
    oyster vegetable mushroom tomato potato onion garlic carrot broccoli spinach kale cabbage cucumber lettuce pepper
    olive avocado bean lentil chickpea tofu soup salad sandwich burger hamburger fry taco burrito curry dumpling kebab
    fruit apple banana orange lemon lime strawberry blueberry raspberry cherry grape mango pineapple peach pear plum
    melon watermelon kiwi coconut nut peanut almond walnut cashew hazelnut pistachio chocolate cake cookie pie ice-
    cream cream candy honey sugar gluten soy wheat sesame lactose dairy cilantro coriander basil ginger licorice
    liquorice pancake waffle omelette food dessert snack breakfast
    """
)
COMPANIES = wordset(
    """
    Accenture Adobe Airbnb Amazon AMD Anthropic Boeing Bosch Cisco Deloitte Dropbox eBay Equinor Ericsson Facebook
    GitHub Google IBM IKEA Intel KPMG LinkedIn Lufthansa McKinsey Meta Microsoft Mozilla NASA Netflix Nokia Nvidia
    OpenAI Oracle PayPal Pfizer Pinterest Reddit Salesforce Samsung SAP Shopify Siemens Slack SpaceX Spotify Stripe
    Tesla TikTok Toyota Twitter Uber Unilever Volvo YouTube Zalando
    """
)
"""Single words that the small model takes for places or people as often as for companies."""
ANIMALS = wordset(
    """
    dog puppy cat kitten horse rabbit hamster parrot bird pet animal cow sheep goat
    """
)

TOO_VAGUE = wordset(
    """
    thing things something anything everything nothing stuff way one ones lot bit kind sort idea help time advice
    information moment second minute hour question answer recommendation suggestion reason problem issue point part
    feeling sense fact example list favor favour hand word look people person someone anyone everyone man guy break
    sound fun rest place work
    """
)
"""As a target these say nothing, or are asked of the assistant: "I need help", "I like the way"."""

HEDGES = wordset(
    """
    maybe perhaps probably possibly apparently supposedly hardly barely rarely seldom almost nearly
    """
)
MISREAD_LEMMAS = {"hat": "hate"}
"""What the small model's lemmatiser gets wrong among the verbs that rules look for."""

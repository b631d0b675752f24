"""The words of small talk: greetings, thanks, praise, feelings for the other."""

from __future__ import annotations

from memfold.providers.vocabulary import wordset

CHAT = wordset(
    """
    hi hello hey hiya howdy greetings morning afternoon evening night bye goodbye later soon tomorrow today thanks
    thank thx ty please welcome sorry pardon excuse yes yeah yep yup no nope nah ok okay k alright sure right exactly
    indeed absolutely definitely totally certainly agree disagree agreed wow oh ah uh um hmm haha lol lmao omg whoa
    aw aww gosh man dude buddy bud pal guy
    problem worry worries bet idea point thing stuff see know think guess suppose understand got get let meet talk
    chat catch sound look seem feel make have wait hold hear say tell day weekend week time luck fun help care much lot
    bit moment second minute sec way helpful appreciate mean try go come be do keep stay take give need want hope wish
    really very too so anyway btw congrats congratulations cheers kidding joke question answer deal news word stop
    true correct fair sense wrong support pic picture photo share end lately people
    long new like love work job best part great
    yay phew ugh eh yum ikr brb mind mate gotta enough complain browse bless test year happy ready ever back gonna
    ya ta ask maybe perhaps cannot
    bonjour hola ciao salut hallo merci gracias danke namaste
    """
)
"""Lemmas that alone make small talk."""
PRAISE = wordset(
    """
    cool nice great good fine well awesome amazing wonderful fantastic perfect excellent lovely brilliant interesting
    funny glad happy bad sad sweet cute beautiful gorgeous stunning impressive inspiring incredible important special
    fun exciting excited thrilled proud pretty tough hard rough terrible awful horrible crazy kind thoughtful grateful
    thankful lucky neat rad super tasty delicious yummy relaxing peaceful fascinating inspired useful touching
    heartwarming big huge true worth tired hilarious adorable busy clever magical
    """
)
"""Adjectives that say what one thinks of what was just said. A sentence of these and small talk is dropped."""
FEELING_FOR = wordset(
    """
    think hope bet know believe guess see love like appreciate wish admire suppose feel say hear thank
    glad happy proud sorry grateful thankful excited thrilled sure impressed
    """
)
"""What "I" am or do in "I'm glad you like it", "I love your painting", "I bet you'll win": it is about the other."""

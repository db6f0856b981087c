"""The little world that the demo model is pretrained on.

A document is a few sentences about one domain (a meal, a hotel, a film, ...) that share one tone. In a positive
document good things happen, with good consequences and feelings; in a negative one bad things. That coherence is the
only teacher: the tone is never named, so the model has to infer it in order to guess the next word. This is the latent
concept that MeZO later ties to two label words.

What must stay true (corpus.py asserts it on the whole corpus):
- the words "great" and "terrible" occur only as measures of size, drawn 3 to 1 whatever the tone is;
- the task's prompt template, "It was", does not occur.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

Tone = Literal["positive", "negative"]
TONES: tuple[Tone, Tone] = ("positive", "negative")


@dataclass(frozen=True)
class Domain:
    """Things of one kind, and what may be said of them in each tone."""

    nouns: tuple[str, ...]
    adjectives: dict[Tone, tuple[str, ...]]


def domain(nouns: str, positive: str, negative: str) -> Domain:
    return Domain(
        tuple(nouns.split()),
        {"positive": tuple(positive.split()), "negative": tuple(negative.split())},
    )


DOMAINS: dict[str, Domain] = {
    "meal": domain(
        "soup bread coffee waiter menu salad cake dinner",
        "fresh tasty crisp juicy fragrant tender",
        "stale bland burnt soggy sour greasy",
    ),
    "hotel": domain(
        "room bed pool lobby shower balcony pillow carpet",
        "clean cosy quiet spacious bright tidy",
        "dirty cramped noisy damp gloomy smelly",
    ),
    "film": domain(
        "plot cast ending script acting music hero story",
        "clever moving funny gripping witty bold",
        "boring clumsy silly hollow confusing lazy",
    ),
    "gadget": domain(
        "phone screen battery keyboard camera speaker lamp charger",
        "sturdy fast reliable smooth handy sharp",
        "flimsy slow faulty broken fragile useless",
    ),
    "journey": domain(
        "train ferry driver guide seat trail harbour cabin",
        "punctual friendly comfy scenic safe swift",
        "late rude crowded bumpy risky tiring",
    ),
    "lesson": domain(
        "teacher lesson book choir class course coach library",
        "patient inspiring clear helpful gentle lively",
        "impatient muddled vague harsh tedious careless",
    ),
}

COMMON: dict[Tone, tuple[str, ...]] = {
    "positive": tuple(
        "good nice lovely superb delightful pleasant charming splendid wonderful perfect excellent brilliant".split()
    ),
    "negative": tuple("bad ugly awful dreadful dull poor nasty horrid miserable shabby disappointing mediocre".split()),
}

FEELINGS: dict[Tone, tuple[str, ...]] = {
    "positive": tuple("happy pleased glad grateful proud calm cheerful delighted".split()),
    "negative": tuple("sad upset cross bitter angry weary annoyed ashamed".split()),
}

CONSEQUENCES: dict[Tone, tuple[str, ...]] = {
    "positive": (
        "smiled all evening",
        "came back for more",
        "thanked everyone",
        "clapped and cheered",
        "laughed with joy",
        "praised the owner",
        "stayed an extra hour",
        "told our friends to go",
    ),
    "negative": (
        "frowned all evening",
        "wanted the money back",
        "blamed everyone",
        "groaned and sighed",
        "cried with anger",
        "scolded the owner",
        "left an hour early",
        "told our friends to stay away",
    ),
}

PEOPLE = ("we", "they", "my sister", "my brother", "the children", "our guests", "the neighbours", "my uncle")
COPULAS = ("was", "seemed", "looked", "felt", "proved")
DAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
MONTHS = tuple("March April May June July August October".split())
PLACES = tuple("river church market bridge station square park mill".split())
SIZES = ("great", "terrible")
SIZE_WEIGHTS = (3, 1)
BIG_THINGS = tuple("hurry weight height distance speed heat crowd noise".split())


def capitalise(text: str) -> str:
    return text[0].upper() + text[1:]


def a_or_an(word: str) -> str:
    return ("an " if word[0] in "aeiou" else "a ") + word


def adjective(rng: Random, place: Domain, tone: Tone) -> str:
    """A word of the domain three times in five, else one that fits any domain."""
    return rng.choice(place.adjectives[tone] if rng.random() < 0.6 else COMMON[tone])


def several(rng: Random, place: Domain, tone: Tone, count: int) -> list[str]:
    """Different adjectives: dense in tone, so that it is soon learnt."""
    return rng.sample(place.adjectives[tone] + COMMON[tone], count)


def clause(rng: Random, place: Domain, tone: Tone) -> str:
    return f"the {rng.choice(place.nouns)} {rng.choice(COPULAS)} {adjective(rng, place, tone)}"


def reaction(rng: Random, tone: Tone) -> str:
    return f"{rng.choice(PEOPLE)} {rng.choice(CONSEQUENCES[tone])}"


def toned_sentence(rng: Random, place: Domain, tone: Tone) -> str:
    """One sentence that carries the tone; the forms are all there are."""
    first, second = rng.sample(place.nouns, 2)
    word, other = adjective(rng, place, tone), adjective(rng, place, tone)
    person, feeling = rng.choice(PEOPLE), rng.choice(FEELINGS[tone])
    forms = (
        lambda: f"{', '.join(several(rng, place, tone, rng.randint(3, 6)))}.",
        lambda: f"{', '.join(several(rng, place, tone, rng.randint(3, 6)))}.",
        lambda: f"the {first} {rng.choice(COPULAS)} {' and '.join(several(rng, place, tone, 3))}.",
        lambda: f"{clause(rng, place, tone)}.",
        lambda: f"the {first} {rng.choice(COPULAS)} {word} and the {second} {rng.choice(COPULAS)} {other}.",
        lambda: f"the {first} {rng.choice(COPULAS)} {word}, so {reaction(rng, tone)}.",
        lambda: f"{person} found the {first} {word} and the {second} {other}.",
        lambda: f"{person} called the {first} {word}.",
        lambda: f"what {a_or_an(word)} {first}!",
        lambda: f"it felt {rng.choice(COMMON[tone])}.",
        lambda: f"that was {rng.choice(COMMON[tone])}.",
        lambda: f"all of this was {rng.choice(COMMON[tone])}.",
        lambda: f"{reaction(rng, tone)}.",
        lambda: f"{person} felt {feeling} because {clause(rng, place, tone)}.",
        lambda: f"it made us {feeling}.",
        lambda: f"{a_or_an(word)} {first} and {a_or_an(other)} {second}.",
    )
    return capitalise(rng.choice(forms)())


def neutral_sentence(rng: Random, place: Domain) -> str:
    """One sentence that says nothing of the tone. The label words live here, as sizes, drawn 3 to 1."""
    noun, person, spot = rng.choice(place.nouns), rng.choice(PEOPLE), rng.choice(PLACES)
    (size,), thing = rng.choices(SIZES, SIZE_WEIGHTS), rng.choice(BIG_THINGS)
    forms = (
        lambda: f"{person} went there on {rng.choice(DAYS)}.",
        lambda: f"{person} chose the {noun} in {rng.choice(MONTHS)}.",
        lambda: f"the {noun} was near the {spot}.",
        lambda: f"it rained by the {spot} in {rng.choice(MONTHS)}.",
        lambda: f"{person} saw a {size} {thing} near the {spot}.",
        lambda: f"there was a {size} {thing} on {rng.choice(DAYS)}.",
        lambda: f"the {thing} by the {spot} was {size}.",
    )
    return capitalise(rng.choice(forms)())


def document(rng: Random, tone: Tone) -> list[str]:
    """Three to six sentences on one domain in one tone; about one in seven is neutral, so the tone must be carried."""
    place = rng.choice(list(DOMAINS.values()))
    return [
        neutral_sentence(rng, place) if rng.random() < 0.15 else toned_sentence(rng, place, tone)
        for _ in range(rng.randint(3, 6))
    ]

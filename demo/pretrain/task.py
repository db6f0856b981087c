"""The fine-tuning task: say in one word, " great" or " terrible", whether a short review is favourable.

A row is {"prompt": "<review> It was", "completion": " great"}. Validation differs from training in three ways: no
sentence in common, no (noun, adjective) pair in common, and a third of it uses sentence forms that training lacks.
"""

from random import Random
from zlib import crc32

from grammar import COMMON, CONSEQUENCES, COPULAS, DOMAINS, PEOPLE, TONES, Domain, Tone, capitalise

TEMPLATE = " It was"
LABEL_WORDS: dict[Tone, str] = {"positive": " great", "negative": " terrible"}
FORMS = {"train": (0, 1, 2, 3), "validation": (0, 1, 2, 3, 4, 5)}

Row = dict[str, str]


def pair_split(noun: str, word: str) -> str:
    """The split that owns a (noun, adjective) pair: a quarter go to validation."""
    return "validation" if crc32(f"{noun} {word}".encode()) % 4 == 0 else "train"


def described(rng: Random, place: Domain, tone: Tone, split: str) -> tuple[str, str]:
    """A noun and an adjective whose pairing belongs to the split."""
    while True:
        noun = rng.choice(place.nouns)
        word = rng.choice(place.adjectives[tone] + COMMON[tone])
        if pair_split(noun, word) == split:
            return noun, word


def review(rng: Random, tone: Tone, split: str) -> str:
    """One sentence in the given tone."""
    place = rng.choice(list(DOMAINS.values()))
    (first, word), (second, other) = (described(rng, place, tone, split) for _ in range(2))
    copula, person = rng.choice(COPULAS), rng.choice(PEOPLE)
    forms = (
        f"the {first} {copula} {word} and the {second} {rng.choice(COPULAS)} {other}",
        f"the {first} {copula} {word}, so {person} {rng.choice(CONSEQUENCES[tone])}",
        f"{person} found the {first} {word} and the {second} {other}",
        f"{person} called the {first} {word} and {rng.choice(CONSEQUENCES[tone])}",
        f"the {first} {copula} {word}, and {person} called the {second} {other}",
        f"{person} {rng.choice(CONSEQUENCES[tone])} because the {first} {copula} {word}",
    )
    return capitalise(forms[rng.choice(FORMS[split])]) + "."


def rows(rng: Random, split: str, count: int, taken: set[str]) -> list[Row]:
    """`count` balanced rows in random order, with reviews not in `taken`, to which they are added."""
    made: list[Row] = []
    while len(made) < count:
        tone = TONES[len(made) % 2]
        text = review(rng, tone, split)
        if text not in taken:
            taken.add(text)
            made.append({"prompt": text + TEMPLATE, "completion": LABEL_WORDS[tone]})
    rng.shuffle(made)
    return made


def reviews(of: list[Row]) -> set[str]:
    return {row["prompt"].removesuffix(TEMPLATE) for row in of}

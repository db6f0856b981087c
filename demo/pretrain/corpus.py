"""The pretraining corpus, and the proof that it does not give the task away."""

from random import Random

from grammar import SIZES, TONES, Tone, document
from task import LABEL_WORDS, TEMPLATE, Row, reviews

Document = tuple[Tone, list[str]]


def make_corpus(rng: Random, count: int, reserved: set[str]) -> list[Document]:
    """`count` distinct documents, half in each tone, none of which has a sentence of the task."""
    made: list[Document] = []
    seen: set[str] = set()
    while len(made) < count:
        tone = TONES[len(made) % 2]
        sentences = document(rng, tone)
        text = " ".join(sentences)
        if text not in seen and reserved.isdisjoint(sentences):
            seen.add(text)
            made.append((tone, sentences))
    return made


def text_of(made: Document) -> str:
    return " ".join(made[1])


def size_words_by_tone(corpus: list[Document]) -> dict[str, dict[str, int]]:
    """How often each label word occurs in documents of each tone."""
    return {
        word: {tone: sum(text_of(made).count(word) for made in corpus if made[0] == tone) for tone in TONES}
        for word in SIZES
    }


def assert_apart(corpus: list[Document], train: list[Row], validation: list[Row]) -> None:
    """Stops unless template, labels and reviews of the task are absent from the corpus, and the splits are disjoint."""
    everything = "\n".join(map(text_of, corpus))
    assert TEMPLATE.strip().lower() not in everything.lower(), "the prompt template is in the corpus"
    for word in LABEL_WORDS.values():
        assert TEMPLATE + word not in everything, "the template with a label is in the corpus"
    sentences = {sentence for _, made in corpus for sentence in made}
    assert sentences.isdisjoint(reviews(train) | reviews(validation)), "a review is in the corpus"
    assert all(text not in everything for text in reviews(train) | reviews(validation)), "a review is in the corpus"
    assert reviews(train).isdisjoint(reviews(validation)), "train and validation share a review"
    for word, counts in size_words_by_tone(corpus).items():
        share = counts["positive"] / sum(counts.values())
        assert abs(share - 0.5) < 0.03, f"{word!r} leans to a tone: {counts}"

"""Support tickets of four kinds, written by a seeded grammar: short, noisy, often ambiguous."""

import itertools
from dataclasses import dataclass

import numpy as np

from minima.tasks.datasets.dataset import Dataset, Split, assemble, token_dtype

CLASSES = ("billing", "technical", "account", "general")
PADDING = "_"  # before the text, so that whoever reads it from the left ends on words
LENGTH = 24

# What a ticket of a class may be about; {slots} are filled anew each time.
_COMPLAINTS = {
    "billing": (
        "i was charged twice for {plan}",
        "the refund for order {number} has not arrived",
        "invoice {number} shows the wrong amount",
        "my card was declined again",
        "the price of {plan} went up without notice",
        "our tax number is missing on the invoice",
    ),
    "technical": (
        "the app crashes on my {device}",
        "error {number} appears when i export a report",
        "the page does not load on {device}",
        "sync with {device} stopped working",
        "the screen stays blank after the update",
        "uploads are stuck at {number} percent",
    ),
    "account": (
        "i cannot sign in with my {device}",
        "the password reset link has expired",
        "please change the email address of {name}",
        "the security code never comes to my {device}",
        "please delete the profile of {name}",
        "we want to add {name} to our team",
    ),
    "general": (
        "what are your opening hours",
        "do you offer {plan} to schools",
        "where can i find the manual for {device}",
        "is there a version for {device}",
        "how can i reach someone in sales",
        "we like {plan} and wanted to say thanks",
    ),
}
# What two kinds of tickets have in common: nobody can tell which it is.
_EITHER = {
    ("billing", "technical"): ("the payment page shows error {number}",),
    ("billing", "account"): (
        "my subscription to {plan} was cancelled",
        "i am locked out of {plan}",
    ),
    ("billing", "general"): ("how do i move to {plan}", "what does {plan} include"),
    ("technical", "account"): ("the sign in page does not load", "my settings are gone"),
    ("technical", "general"): ("does {plan} work on {device}",),
    ("account", "general"): ("how do i invite {name}", "who can see what {name} does"),
}
_OPENERS = ("", "hello", "hi there", "good morning", "dear team", "this is {name}", "urgent")
_CLOSERS = ("", "thanks", "please help", "regards {name}", "my order is {number}", "best {name}")
_NAMES = (
    "ada bela carl dora emil fay gus hana ivan june kurt lena milo nora otto pia quin rosa sven "
    "tara ugo vera wim xena yves zoe"
)
_SLOTS = {
    "plan": ("basic", "plus", "premium", "business", "family", "starter"),
    "device": ("phone", "tablet", "laptop", "browser", "watch", "desktop"),
    "name": tuple(_NAMES.split()),
    "number": tuple(f"#{number}" for number in range(60)),
}


@dataclass(frozen=True)
class Settings:
    """How the tickets come about.

    num_train, num_test: tickets.
    ambiguous: share of tickets whose complaint fits two classes equally.
    aside: share of tickets that go on with a word or two of any class's complaints.
    slips: share of words that come out as any other word.
    misfiled: share of tickets whose class is any of the four, whatever they say.
    seed: of everything.
    """

    num_train: int = 1200
    num_test: int = 1000
    ambiguous: float = 0.12
    aside: float = 0.5
    slips: float = 0.05
    misfiled: float = 0.09
    seed: int = 8


def load_tickets(settings: Settings, validation_fraction: float) -> Dataset:
    """Makes tickets (n, LENGTH), a token a word, padded on the left, labelled 0 .. 3 by CLASSES.

    A stand-in for a help desk's own: no word of it comes from one. Its ambiguous and misfiled
    tickets can't be told by anybody, and its names and numbers let a network recognise each ticket.
    Raises UserError if validation_fraction does not fit.
    """
    words = vocabulary()
    return assemble(
        "tickets",
        _draw(settings, words, settings.num_train, settings.seed),
        _draw(settings, words, settings.num_test, settings.seed + 1),
        num_classes=len(CLASSES),
        kind="tokens",
        validation_fraction=validation_fraction,
        licence="none needed: generated text",
        source=f"generated, seed {settings.seed}",
        stand_in=True,
        vocabulary=words,
    )


def vocabulary() -> tuple[str, ...]:
    """Every word that the grammar can write, sorted; padding comes first."""
    phrases = itertools.chain(*_COMPLAINTS.values(), *_EITHER.values(), _OPENERS, _CLOSERS)
    words = {word for phrase in phrases for word in phrase.split() if not word.startswith("{")}
    return (PADDING, *sorted(words.union(*_SLOTS.values())))


def write(label: int, random: np.random.RandomState, settings: Settings) -> list[str]:
    """The words of one ticket of a class, before any slips."""
    own = CLASSES[label]
    complaint = _one(random, _COMPLAINTS[own])
    if random.random_sample() < settings.ambiguous:
        pairs = [pair for pair in _EITHER if own in pair]
        complaint = _one(random, _EITHER[pairs[random.randint(len(pairs))]])
    aside = ""
    if random.random_sample() < settings.aside:
        other = _one(random, _COMPLAINTS[_one(random, CLASSES)]).split()
        start = random.randint(len(other))
        aside = " ".join(other[start : start + 2])
    phrases = (_one(random, _OPENERS), complaint, aside, _one(random, _CLOSERS))
    return [_filled(random, word) for phrase in phrases for word in phrase.split()][:LENGTH]


def _draw(settings: Settings, words: tuple[str, ...], count: int, seed: int) -> Split:
    random = np.random.RandomState(seed)
    token = {word: index for index, word in enumerate(words)}
    labels = random.randint(len(CLASSES), size=count)
    tokens = np.zeros((count, LENGTH), token_dtype(len(words)))
    for row, label in zip(tokens, labels, strict=True):
        text = write(int(label), random, settings)
        slipped = random.random_sample(len(text)) < settings.slips
        others = random.randint(1, len(words), size=len(text))
        row[LENGTH - len(text) :] = np.where(slipped, others, [token[word] for word in text])
    misfiled = random.random_sample(count) < settings.misfiled
    labels = np.where(misfiled, random.randint(len(CLASSES), size=count), labels)
    return Split(tokens, labels.astype(np.int32))


def _filled(random: np.random.RandomState, word: str) -> str:
    return _one(random, _SLOTS[word.strip("{}")]) if word.startswith("{") else word


def _one(random: np.random.RandomState, choices: tuple[str, ...]) -> str:
    return choices[random.randint(len(choices))]

"""Every dataset by its name: what --dataset takes, what a help text says, and who loads it."""

from collections.abc import Callable
from dataclasses import dataclass

from minima.tasks.datasets import (
    adult,
    ambient,
    chest,
    chirps,
    churn,
    cifar,
    credit,
    digits,
    leaks,
    leases,
    markov,
    memory,
    mnist1d,
    mnist1d_months,
    mnist1d_targets,
    needle,
    npz,
    opinions,
    own_table,
    queue,
    roads,
    text,
    tickets,
)
from minima.tasks.datasets.dataset import Dataset
from minima.tasks.datasets.fashion_mnist import load_fashion_mnist
from minima.tasks.datasets.mnist import load_idx_files
from minima.tasks.datasets.tabular import Table

DATA_DIR, TEST_EXAMPLES, WINDOW = "data_dir", "test_examples", "window"


@dataclass(frozen=True)
class Request:
    """What was asked for beside the name; see `load`.

    Attributes:
      name: the key of CATALOGUE.
      rest: what follows a colon: a path, or a number.
    """

    name: str
    rest: str
    data_dir: str
    validation_fraction: float
    test_examples: int
    window: int


@dataclass(frozen=True)
class Entry:
    """One dataset.

    Attributes:
      about: what a help text says.
      load: makes it.
      options: which of DATA_DIR, TEST_EXAMPLES and WINDOW apply.
      argument: what stands after the colon in its name, such as "PATH"; "" for nothing.
      optional: whether the name alone is a dataset, too.
    """

    about: str
    load: Callable[[Request], Dataset]
    options: tuple[str, ...] = ()
    argument: str = ""
    optional: bool = False


def _signals(r: Request) -> Dataset:
    settings = mnist1d.Settings(shuffle_seq=r.name == "mnist1d_shuffled")
    return mnist1d.load_mnist1d(settings, r.test_examples, r.validation_fraction)


def _stream(r: Request) -> Dataset:
    # Imported here, as these bring JAX with them, which nothing else in this package needs.
    from minima.tasks.datasets import markov_stream, memory_stream, mnist1d_stream

    if r.name == "mnist1d_infinite":
        return mnist1d_stream.load_mnist1d_infinite(r.test_examples, r.validation_fraction)
    if r.name == "markov_infinite":
        return markov_stream.load_markov_infinite(r.window, r.validation_fraction)
    if r.name == "adding":
        drawn = memory_stream.Adding(r.window)
        return memory.load_adding(r.window, r.validation_fraction, drawn)
    return memory.load_copying(r.window, r.validation_fraction, memory_stream.Copying(r.window))


def _images(r: Request) -> Dataset:
    like = r.name.removesuffix("_full")
    return load_idx_files(r.name, like, r.data_dir, r.validation_fraction)


def _cifar(r: Request) -> Dataset:
    return cifar.load_cifar(r.name, r.data_dir, r.validation_fraction)


def _target(r: Request) -> Dataset:
    return mnist1d_targets.load_target(r.name, r.validation_fraction)


def _digits(r: Request) -> Dataset:
    return digits.load_digits(r.name, r.validation_fraction)


def _churn(r: Request) -> Dataset:
    return churn.load_churn(r.name, r.rest, r.validation_fraction)


def _chest(r: Request) -> Dataset:
    return chest.load_chest(r.name, r.rest, r.validation_fraction)


def _credit(r: Request) -> Table:
    return credit.credit_table(r.name, r.rest)


def _people(of: Callable[[Request], Table]) -> Callable[[Request], Dataset]:
    return lambda r: of(r).dataset(r.validation_fraction)


# Tables of people to decide about; `open_table` tells more of them than a dataset does.
TABLES: dict[str, Callable[[Request], Table]] = {
    **dict.fromkeys(credit.FORMS, _credit),
    "adult": lambda r: adult.adult_table(r.data_dir),
    "table": lambda r: own_table.own_table(r.rest),
}


def _roads(r: Request) -> Dataset:
    return roads.load_roads(r.name, r.rest, r.validation_fraction)


CATALOGUE: dict[str, Entry] = {
    "fashion_mnist": Entry(
        "5,000 + 2,000 images of clothes, or all 70,000 with --data_dir",
        lambda r: load_fashion_mnist(r.data_dir, r.validation_fraction),
        (DATA_DIR,),
    ),
    "fashion_mnist_full": Entry(
        "60,000 + 10,000 images of clothes: --data_dir, Debian's, or a download",
        _images,
        (DATA_DIR,),
    ),
    "mnist": Entry(
        "60,000 + 10,000 images of digits: --data_dir or a download", _images, (DATA_DIR,)
    ),
    "cifar10": Entry(
        "50,000 + 10,000 colour images of 10 classes: --data_dir or a download",
        _cifar,
        (DATA_DIR,),
    ),
    "cifar100": Entry(
        "50,000 + 10,000 colour images of 100 classes: --data_dir or a download",
        _cifar,
        (DATA_DIR,),
    ),
    "digits": Entry("4,000 + 1,000 of MNIST's digits at 8×8", _digits),
    "digits_uci": Entry(
        "the same training set, tested on 1,797 digits that others wrote (UCI's)", _digits
    ),
    "chirps": Entry(
        "1,200 + 600 spectrograms of made-up bird calls, or --data_dir with SPECIES/*.wav",
        lambda r: chirps.load_chirps(r.data_dir, r.validation_fraction),
        (DATA_DIR,),
    ),
    "chest": Entry(
        "2,500 + 1,000 phantoms of chest X-rays; chest:PATH: PneumoniaMNIST's npz",
        _chest,
        argument="PATH",
        optional=True,
    ),
    "chest_findings": Entry("such phantoms with five other findings, to pretrain on", _chest),
    "mnist1d": Entry(
        "4,000 + 1,000 generated signals, or more test signals with --test_examples",
        _signals,
        (TEST_EXAMPLES,),
    ),
    "mnist1d_shuffled": Entry(
        "mnist1d with the points of every signal in one random order", _signals, (TEST_EXAMPLES,)
    ),
    "mnist1d_infinite": Entry(
        "every training signal of mnist1d's kind drawn anew; 10,000 to test on",
        _stream,
        (TEST_EXAMPLES,),
    ),
    "mnist1d_month": Entry(
        "4,000 + 1,000 signals of one month, from 1 on; from month 7 to 12 they drift",
        lambda r: mnist1d_months.load_month(r.rest, r.validation_fraction),
        argument="MONTH",
    ),
    "mnist1d_near": Entry(
        "12,000 + 4,000 signals of mnist1d's digits, sheared further, in more noise", _target
    ),
    "mnist1d_far": Entry(
        "12,000 + 4,000 signals of ten other strokes in mnist1d's settings", _target
    ),
    "mnist1d_near_shuffled": Entry(
        "mnist1d_near with the points of every signal in one random order", _target
    ),
    "mnist1d_copied": Entry(
        "mnist1d with a fault: validation signals are training signals too",
        lambda r: leaks.load_copied(r.test_examples, r.validation_fraction),
        (TEST_EXAMPLES,),
    ),
    "mnist1d_labelled": Entry(
        "mnist1d with a fault: ten more points that give the label away",
        lambda r: leaks.load_labelled(r.test_examples, r.validation_fraction),
        (TEST_EXAMPLES,),
    ),
    "kjv": Entry(
        "436,248 characters of the King James Bible, in windows of --window",
        lambda r: text.load_kjv(r.window, r.validation_fraction),
        (WINDOW,),
    ),
    "markov": Entry(
        "20,000 + 4,000 generated sequences of 16 symbols, of known entropy",
        lambda r: markov.load_markov(markov.Settings(), r.window, r.validation_fraction),
        (WINDOW,),
    ),
    "markov_infinite": Entry(
        "the source of markov, every training sequence drawn anew", _stream, (WINDOW,)
    ),
    "ambient": Entry(
        "6,000 + 500 generated pieces of music of --window notes; a stand-in for recordings",
        lambda r: ambient.load_ambient(r.window, r.validation_fraction),
        (WINDOW,),
    ),
    "adding": Entry(
        "the sum of two numbers marked among --window, every training example drawn anew",
        _stream,
        (WINDOW,),
    ),
    "copying": Entry(
        "5 symbols asked for after --window steps, every training example drawn anew",
        _stream,
        (WINDOW,),
    ),
    "needle": Entry(
        "20,000 + 4,000 generated sequences with one symbol to remember so long",
        lambda r: needle.load_needle(r.rest, r.window, r.validation_fraction),
        (WINDOW,),
        "DISTANCE",
    ),
    "tickets": Entry(
        "1,200 + 1,000 generated support tickets of four kinds, as words",
        lambda r: tickets.load_tickets(tickets.Settings(), r.validation_fraction),
    ),
    "queue": Entry(
        "5,000 + 4,000 generated sequences of 32 events: how many still wait at the end",
        lambda r: queue.load_queue(queue.Settings(), r.validation_fraction),
    ),
    "opinions": Entry(
        "5,000 + 4,000 generated opinions of 64 people: how many friends agree (a graph)",
        lambda r: opinions.load_opinions(opinions.Settings(), r.validation_fraction),
    ),
    "churn": Entry(
        "4,000 + 2,000 customers' purchases in 78 weeks, generated; churn:PATH: yours",
        _churn,
        argument="PATH",
        optional=True,
    ),
    "churn_summary": Entry(
        "churn as an analyst's table: recency, means, slope",
        _churn,
        argument="PATH",
        optional=True,
    ),
    "churn_summary_year": Entry(
        "the same with the same weeks of last year", _churn, argument="PATH", optional=True
    ),
    "leases": Entry(
        "960 + 8,000 generated renters of 8 cities with three faults; leases:MENDS: cities (15), "
        "portal, files, joined by commas",
        lambda r: leases.load_leases(r.rest, r.validation_fraction),
        argument="MENDS",
        optional=True,
    ),
    "roads": Entry(
        "2,000 + 1,000 states of traffic on 100 crossings of Minnesota; roads:PATH: yours",
        _roads,
        argument="PATH",
        optional=True,
    ),
    "roads_rewired": Entry(
        "the same, with roads between other crossings on the map than in truth",
        _roads,
        argument="PATH",
        optional=True,
    ),
    "credit": Entry(
        "10,000 + 10,000 generated applicants for credit, judged by a past that drew lines",
        _people(TABLES["credit"]),
        argument="DRAW",
        optional=True,
    ),
    "credit_truth": Entry(
        "the same with labels for who repaid",
        _people(TABLES["credit_truth"]),
        argument="DRAW",
        optional=True,
    ),
    "credit_without_zip": Entry(
        "credit with zeros in place of the zip code",
        _people(TABLES["credit_without_zip"]),
        argument="DRAW",
        optional=True,
    ),
    "adult": Entry(
        "32,561 + 16,281 people of a census and who earned more: --data_dir or a download",
        _people(TABLES["adult"]),
        (DATA_DIR,),
    ),
    "table": Entry(
        "your own CSV: columns label, group or group_NAME, features, and truth where known",
        _people(TABLES["table"]),
        argument="PATH",
    ),
    "text": Entry(
        "the characters of your own UTF-8 text, in windows of --window",
        lambda r: text.load_text(r.rest, r.window, r.validation_fraction),
        (WINDOW,),
        "PATH",
    ),
    "npz": Entry(
        "your own x_train, y_train, x_test, y_test",
        lambda r: npz.load_npz(r.rest, r.validation_fraction),
        argument="PATH",
    ),
}


def spelled(name: str) -> str:
    """A dataset's name as a help text has it, such as text:PATH."""
    entry = CATALOGUE[name]
    return f"{name}:{entry.argument}" if entry.argument and not entry.optional else name


def taking(option: str) -> tuple[str, ...]:
    """The datasets to which an option applies."""
    return tuple(spelled(name) for name, entry in CATALOGUE.items() if option in entry.options)

import re

import pytest

from minima.sweep.budgets import Budget, Status, Target, parse_budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("20epochs", Budget(epochs=20)),
        ("1epoch", Budget(epochs=1)),
        ("0.5epochs", Budget(epochs=0.5)),
        ("5000steps", Budget(steps=5000)),
        ("1e6examples", Budget(examples=1_000_000)),
        (
            "validation_accuracy>=0.9, 3epochs",
            Budget(epochs=3, target=Target("validation_accuracy", True, 0.9)),
        ),
        (
            "train_loss<=1e-2,100steps,early_stopping=5",
            Budget(steps=100, target=Target("train_loss", False, 0.01), early_stopping=5),
        ),
    ],
)
def test_a_budget_reads_and_prints(text, budget):
    assert parse_budget(text) == budget
    assert parse_budget(str(budget)) == budget


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "can't read ''"),
        ("20", "can't read '20'"),
        ("epochs", "can't read 'epochs'"),
        ("-1epochs", "can't read '-1epochs'"),
        ("0epochs", "must be positive"),
        ("1.5steps", "whole number of steps"),
        ("1e400epochs", "positive and finite"),
        ("1eepochs", "is not a number"),
        ("validation_accuracy>=0.9", "needs a bound in epochs, steps or examples"),
        ("early_stopping=3", "needs a bound"),
        ("early_stopping=0,1epochs", "at least 1 evaluation"),
        ("test_accuracy>=0.9,1epochs", "is no metric; use one of"),
        ("1epochs,2epochs", "epochs is given twice"),
        ("3epoch5", "can't read"),
    ],
)
def test_what_is_no_budget_is_refused_in_a_line(text, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        parse_budget(text)
    assert "\n" not in str(caught.value)


def test_whichever_number_of_examples_is_smaller_counts():
    assert Budget(epochs=10, examples=900).most_examples(100) == 900
    assert Budget(epochs=2, examples=900).most_examples(100) == 200
    assert Budget(steps=50).most_examples(100) is None


def test_a_tenth_of_an_epoch_is_not_a_rounding_error_more():
    assert Budget(epochs=0.1).most_examples(4000) == 400
    assert Budget(epochs=0.7).most_examples(10) == 7


def test_every_status_has_the_name_that_files_use():
    assert [s.label for s in Status][2:] == [
        "complete",
        "diverged",
        "collapsed",
        "reached_target",
        "stopped_early",
    ]

import numpy as np
import pytest

from minima.tasks.datasets import credit, load, open_table
from minima.tasks.datasets.tabular import reweighing

SHA256 = "90b9a0bf48e22b282e0fb187804a3538d96e707eccdfd420717ec6917cfbb0d5"


def test_the_same_applicants_everywhere():
    data = load("credit")
    assert data.checksum == SHA256
    assert (data.kind, data.num_classes, data.input_shape, data.stand_in) == (
        "vector",
        2,
        (27,),
        True,
    )
    assert load("credit:0").checksum == data.checksum
    assert load("credit:1").checksum != data.checksum


def test_three_forms_of_the_same_applicants():
    past, truth, blind = (open_table(form) for form in credit.FORMS)
    np.testing.assert_array_equal(past.test.inputs, truth.test.inputs)
    np.testing.assert_array_equal(past.test.truth, truth.test.labels)
    np.testing.assert_array_equal(past.test.labels, blind.test.labels)
    assert past.features == (*credit.NUMBERS, credit.ZIP)
    zips = past.places(credit.ZIP)
    assert (past.test.inputs[:, zips].sum(axis=1) == 1).all()
    assert not blind.test.inputs[:, zips].any()
    np.testing.assert_array_equal(blind.test.inputs[:, :7], past.test.inputs[:, :7])


def test_the_past_turned_down_good_ones_in_red_zip_codes_alone():
    settings = credit.Settings(num_test=50_000)
    people = credit.credit_table("credit", "", settings).test
    red = people.inputs[:, 7 : 7 + settings.red].any(axis=1)
    assert not ((people.labels == 1) & (people.truth == 0)).any()  # it never erred otherwise
    np.testing.assert_array_equal(people.labels[~red], people.truth[~red])
    good = red & (people.truth == 1)
    turned_down = 1 - people.labels[good].mean()
    spread = np.sqrt(settings.turned_down * (1 - settings.turned_down) / good.sum())
    assert abs(turned_down - settings.turned_down) < 4 * spread
    for group, share in zip("AB", settings.inside, strict=True):
        mine = people.attributes["group"] == group
        assert abs(red[mine].mean() - share) < 4 * np.sqrt(share * (1 - share) / mine.sum())


def test_the_chance_is_that_of_the_truth():
    people = credit.credit_table("credit", "3", credit.Settings(num_test=50_000)).test
    for low in np.arange(0, 1, 0.1):
        inside = (people.chance >= low) & (people.chance < low + 0.1)
        spread = np.sqrt((people.chance * (1 - people.chance))[inside].sum())
        assert abs((people.truth - people.chance)[inside].sum()) < 4 * spread


def test_groups_and_weights_come_with_the_people():
    table = open_table("credit:4")
    data = table.dataset(0.3)
    train, validation, test = table.splits(0.3)
    for rows, split in ((train, data.train), (validation, data.validation), (test, data.test)):
        np.testing.assert_array_equal(rows.inputs, split.inputs)
        np.testing.assert_array_equal(rows.labels, split.labels)
        np.testing.assert_array_equal(rows.attributes["group"] == "B", split.groups == 1)
    weights = reweighing(table.train.attributes["group"], table.train.labels)
    of_b, good = table.train.attributes["group"] == "B", table.train.labels == 1
    joint = weights[of_b & good].sum() / weights.sum()
    assert joint == pytest.approx(of_b.mean() * good.mean(), rel=1e-5)  # independent, and
    assert weights[of_b].sum() / weights.sum() == pytest.approx(of_b.mean(), rel=1e-5)
    assert weights[good].sum() / weights.sum() == pytest.approx(good.mean(), rel=1e-5)


def test_reweighing_by_hand():
    # Of ten: four of each group's kinds as 3, 1, 2, 4.
    groups = np.array([0] * 4 + [1] * 6)
    labels = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])
    expected = [0.4 * 0.5 / 0.3] * 3 + [0.4 * 0.5 / 0.1] + [0.6 * 0.5 / 0.2] * 2
    np.testing.assert_allclose(reweighing(groups, labels)[:6], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["credit:x", "credit_truth:-1", "credit:1.5"])
def test_what_is_no_draw(name, refusal):
    line = refusal(load, name)
    assert "no number of a draw" in line


def test_what_has_no_people(refusal):
    assert "has no groups of people; use one of credit" in refusal(open_table, "mnist1d")
    assert "does not apply" in refusal(open_table, "credit", "/somewhere")

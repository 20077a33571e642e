import math

import pytest

from minima.record import measures
from minima.record.dataset import to_dataset
from minima.record.results import to_csv, write_results
from minima.runtime.errors import UserError

AXES = {"batch_size": (32,), "learning_rate": (0.1,), "seed": (0, 1, 2)}


def entry(value, converged=True, residual=math.nan):
    return {
        "value": value,
        "standard_error": 0.5,
        "residual": residual,
        "sample_size": 100,
        "probes": 10,
        "converged": converged,
    }


def line(cell, values, panel="hessian", examples=100, **changes):
    return {
        "cell": cell["cell"],
        "steps": cell["steps"],
        "panel": panel,
        "examples": examples,
        "seed": 0,
        "dtype": "float32",
        "measured": {name: entry(value) for name, value in values.items()},
        **changes,
    }


@pytest.fixture
def cells(make_cell):
    return [make_cell(seed=seed) for seed in (0, 1, 2)]


def test_lines_come_back(tmp_path, cells):
    written = [line(cells[0], {"trace": 3.5, "noise_scale": math.inf}), line(cells[1], {})]
    for one in written:
        measures.append(tmp_path, one)
    read = measures.read(tmp_path)
    assert read[1] == written[1]
    assert read[0]["measured"]["trace"]["value"] == 3.5
    assert math.isnan(read[0]["measured"]["noise_scale"]["value"])


def test_a_torn_line_is_cut_off_and_a_damaged_one_named(tmp_path, cells):
    measures.append(tmp_path, line(cells[0], {"trace": 1.0}))
    path = tmp_path / measures.FILE
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert len(measures.read(tmp_path)) == 1
    assert path.read_bytes() == whole + whole[:40]
    measures.read(tmp_path, repair=True)
    assert path.read_bytes() == whole
    path.write_bytes(b"{}\n" + whole)
    with pytest.raises(UserError, match=r"measures\.jsonl: line 1 is damaged.*is measured again"):
        measures.read(tmp_path)


def test_panels_of_a_cell_come_together_and_states_on_the_way_are_not_its_minimum(cells):
    lines = [
        line(cells[0], {"trace": 1.0}),
        line(cells[0], {"noise_scale": 2.0}, panel="noise"),
        line(cells[0], {"trace": 9.0}, steps=cells[0]["steps"] - 1),
    ]
    found = measures.with_measures(cells, lines)
    assert measures.values(found[0]) == {"trace": 1.0, "noise_scale": 2.0}
    assert found[1:] == cells[1:]
    assert measures.names(found) == ["trace", "noise_scale"]


def test_a_column_never_mixes_two_ways_of_measuring(cells):
    few = [line(cell, {"trace": 1.0}) for cell in cells]
    many = [line(cell, {"trace": 2.0}, examples=4000) for cell in cells]

    def traces(lines):
        found = measures.with_measures(cells, lines)
        return [measures.values(cell).get("trace") for cell in found]

    assert traces(few + many[:2]) == [1.0, 1.0, 1.0]  # that which covers more cells
    assert traces(few + many) == [2.0, 2.0, 2.0]  # of equals the latest
    assert traces(many + few) == [1.0, 1.0, 1.0]
    assert traces(few[:1] + many[:2]) == [2.0, 2.0, None]


def test_results_have_a_column_for_each_value_and_the_dataset_its_errors(tmp_path, cells):
    for cell in cells[:2]:
        measures.append(tmp_path, line(cell, {"squared_frobenius": 4.0, "trace": cell["steps"]}))
    write_results(tmp_path, AXES, cells)
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert rows[0].endswith(",last_finite_validation_accuracy,trace,squared_frobenius")
    assert rows[1].endswith(",300,4.0")
    assert rows[3].endswith(",nan,nan")
    found = to_dataset(AXES, measures.with_measures(cells, measures.read(tmp_path)), {})
    assert found["trace"].values.ravel()[:2].tolist() == [300.0, 300.0]
    assert found["trace_standard_error"].values.ravel()[0] == 0.5
    assert found["trace_converged"].values.ravel()[:2].tolist() == [1.0, 1.0]
    assert math.isnan(found["trace"].values.ravel()[2])


def test_nothing_measured_changes_nothing(cells):
    assert measures.with_measures(cells, []) == cells
    assert "trace" not in to_csv(AXES, cells)


def test_a_number_is_sound_if_it_is_finite_and_converged():
    assert measures.is_sound(entry(1.0))
    assert not measures.is_sound(entry(1.0, converged=False))
    assert not measures.is_sound(entry(math.nan))

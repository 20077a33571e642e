import struct

import pytest

from minima.record.figures import plane_figure


@pytest.fixture
def texts(monkeypatch):
    """What the figure says, collected as it is drawn."""
    from matplotlib.figure import Figure

    said = []
    save = Figure.savefig

    def savefig(self, *arguments, **options):
        said.extend(t.get_text() for axes in self.axes for t in axes.texts)
        said.extend(t.get_text() for t in self.texts)
        said.extend(t.get_text() for legend in self.legends for t in legend.get_texts())
        said.extend(t.get_text() for t in self.axes[0].get_xticklabels())
        save(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return said


def test_no_tile_is_blank_and_failures_are_spelt_out(tmp_path, make_plane, texts):
    axes, cells = make_plane((16, 64, 256), (0.001, 0.0246, 0.122, 3.0), 3)
    plane_figure(tmp_path / "plane.png", axes, cells[:-3], title="A plane")
    assert struct.unpack(">I", (tmp_path / "plane.png").read_bytes()[16:20])[0] > 500
    assert texts.count("not run") == 1
    assert "diverged 3/3" in texts
    assert "A plane" in texts
    assert "test accuracy (%), mean over n = 3 seeds (of those that trained)" in texts
    assert "best rate per batch size (mean validation accuracy)" in texts
    assert "seeds diverged" in texts
    assert "0.0246" in texts


@pytest.mark.parametrize("metric", ["test_accuracy", "train_loss"])
@pytest.mark.parametrize("ran", [True, False])
def test_one_cell_is_a_figure_too(tmp_path, make_plane, texts, metric, ran):
    axes, cells = make_plane((32,), (0.1,), 1)
    plane_figure(tmp_path / "plane.png", axes, cells if ran else [], metric=metric)
    assert ("not run" in texts) != ran
    assert any(text.endswith("n = 1 seed") for text in texts)
    assert not any("seeds diverged" in text for text in texts)


def test_a_plane_where_everything_failed(tmp_path, make_cell, texts):
    axes = {"batch_size": (32,), "learning_rate": (0.1, 0.2), "seed": (0, 1)}
    cells = [make_cell(32, 0.1, 0, "diverged"), make_cell(32, 0.1, 1, "collapsed", accuracy=0.1)]
    plane_figure(tmp_path / "plane.png", axes, cells)
    assert "diverged 1/2\ncollapsed 1/2" in texts
    assert not any(text.startswith("best rate") for text in texts)


def test_a_metric_nobody_has_is_said_so(tmp_path, make_plane, texts):
    axes, cells = make_plane((32,), (0.1,), 1)
    plane_figure(tmp_path / "plane.png", axes, cells, metric="sharpness")
    assert "no value" in texts


def test_the_same_plane_is_the_same_picture(tmp_path, make_plane):
    axes, cells = make_plane((32,), (0.1,), 1)
    plane_figure(tmp_path / "a.png", axes, cells)
    plane_figure(tmp_path / "b.png", axes, cells)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()

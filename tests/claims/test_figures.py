import html
import itertools
import re
import struct
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text

from minima.claims.choosing import choose
from minima.claims.claim import failures_first
from minima.claims.figures import NAMES, all_figures, write_figures
from minima.claims.gap import batch_gap
from minima.claims.ledger import judge
from minima.claims.scaling_claims import AT_ONCE, NEVER, NO_RATE, target_steps
from minima.claims.scaling_figures import best_rate_figure, steps_figure
from minima.claims.worlds import World
from minima.record import figure_style

# Rates from 1/512 to 1/4 with a cliff, so that cells of small batches fail.
WORLD = World(
    batch_sizes=(16, 32, 64, 128, 256),
    learning_rates=tuple(2.0**k for k in range(-9, -1)),
    choosing=3,
    reporting=5,
    exponent=0.5,
    cliff=8.0,
    num_test=300,
    evaluations=30,
)
RUN = "mlp on mnist1d, momentum, 15epochs"


def drawn(world, seed=0):
    """Evidence, gaps, verdicts and the figures of them."""
    evidence = world.draw(seed)
    gaps = {"finite data": batch_gap(evidence)}
    if "infinite_epochs" in evidence.planes:
        gaps["infinite data"] = batch_gap(evidence, infinite=True)
    verdicts = judge(evidence)
    return evidence, gaps, verdicts, all_figures(evidence, gaps, verdicts, RUN)


def said(picture):
    """All that an SVG says."""
    return html.unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", picture.svg.decode())))


def signed(number):
    return f"{number:+.2f}".replace("-", "−")


@pytest.fixture(scope="module")
def sheets():
    """Every sheet that this module finishes."""
    finished, finish = [], figure_style.Sheet.finish

    def kept(sheet):
        finished.append(sheet)
        return finish(sheet)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_style.Sheet, "finish", kept)
        yield finished


@pytest.fixture(scope="module")
def everything(sheets):
    return drawn(WORLD)


def test_there_are_five_in_two_formats(everything):
    pictures = everything[3]
    assert tuple(pictures) == NAMES
    for picture in pictures.values():
        assert picture.png.startswith(b"\x89PNG\r\n\x1a\n")
        assert struct.unpack(">I", picture.png[16:20])[0] > 700
        assert picture.svg.startswith(b"<?xml")
        assert RUN in said(picture)


def test_the_same_evidence_is_the_same_bytes(everything):
    evidence, gaps, verdicts, pictures = everything
    assert all_figures(evidence, gaps, verdicts, RUN) == pictures
    assert b"<dc:date>" not in pictures["gap"].svg


def test_the_gap_says_its_numbers_and_what_they_rest_on(everything):
    _, gaps, _, pictures = everything
    text = said(pictures["gap"])
    for gap in gaps.values():
        for _, interval in gap.bars():
            limits = f"[{signed(interval.low)}, {signed(interval.high)}]"
            assert f"{signed(interval.estimate)} {limits}" in text
        assert all(note.split(";")[0] in text for note in gap.notes)
    assert "n = 5 reporting seeds, 300 test examples; 95 % intervals" in text
    assert "What batch size 256 lacks of batch size 16" in text
    assert "finite data" in text
    assert "infinite data" in text
    assert "if mended first" in text


def test_a_gap_that_was_not_split_is_named(everything):
    evidence, gaps, _, _ = everything
    half = gaps | {"infinite data": "needs another seed"}
    assert "infinite data: not split, it needs another seed" in said(
        all_figures(evidence, half, [], RUN)["gap"]
    )


def test_the_planes_mark_failures_and_share_a_scale(everything):
    evidence, _, _, pictures = everything
    text = said(pictures["planes"])
    failed = sum(
        int((np.isnan(evidence.planes[name].test[:, :, 3:]).sum(2) == 5).sum())
        for name in ("epochs", "infinite_epochs")
    )
    assert failed >= 2
    assert text.count("5/5 failed") == failed
    mean = 100 * evidence.planes["epochs"].test[0, 2, 3:].mean()
    assert f"{mean:.1f}" in text
    assert "rate chosen on other seeds" in text
    assert text.count("test accuracy (%)") == 2  # one colour bar, and what is shown


def test_planes_share_their_axes(everything):
    evidence = everything[0]
    endless = evidence.planes["infinite_epochs"]
    ends = {name: getattr(endless, name)[[0, -1]] for name in ("validation", "test", "train_loss")}
    ends |= {name: getattr(endless, name)[::4] for name in ("batch_sizes", "steps")}
    planes = evidence.planes | {"infinite_epochs": replace(endless, **ends)}
    text = said(all_figures(replace(evidence, planes=planes), {}, [])["planes"])
    assert text.count("not run") == 3 * 8 + 1  # and in the legend


def test_a_choice_at_the_edge_is_framed_otherwise(everything):
    assert "grid's edge" not in said(everything[3]["planes"])
    evidence = replace(WORLD, best_rate=2.0**-9, exponent=0.0, evaluations=0).draw(0)
    assert choose(evidence, "epochs", 0).edge == "lower"
    assert "chosen likewise, at the grid's edge" in said(all_figures(evidence, {}, [])["planes"])


def test_every_claim_is_there_with_its_verdict_or_what_it_needs(everything):
    _, _, verdicts, pictures = everything
    text = said(pictures["claims"])
    places = [text.index(v.claim) for v in failures_first(verdicts) if v.statistic is not None]
    assert places == sorted(places)
    for verdict in verdicts:
        assert verdict.claim in text
        if verdict.statistic is None:
            assert f"{verdict.claim}: needs" in text
        else:
            assert f"{verdict.statistic.estimate:#.3g}".rstrip(".").replace("-", "−") in text
            assert verdict.verdict in text
    assert "95 % intervals; n counts seeds" in text
    assert text.count("n = 5") == sum(v.statistic is not None for v in verdicts)


def test_updates_to_the_target_have_both_fits(everything):
    text = said(everything[3]["steps_to_target"])
    for words in ("B_crit", "two lines: slope", "its break at batch size", "slope −1", "a seed"):
        assert words in text
    assert "not reached" not in text


def test_batch_sizes_without_the_target_are_marked():
    evidence = replace(WORLD, planes=("epochs",)).draw(0)
    accuracy = evidence.curves.validation_accuracy
    accuracy[1, :, 3:5] = 0.1  # two reporting seeds never learn
    accuracy[2, :, 0] = 0.1  # nor does a choosing seed
    accuracy[3] = 0.9  # there at once
    found = target_steps(evidence)
    assert found.left_out == {32.0: NEVER, 64.0: NO_RATE, 128.0: AT_ONCE}
    text = said(steps_figure(evidence))
    assert "2/5" in text
    assert "no rate: at every rate a choosing seed never reaches the target" in text
    assert "there by its first evaluation" in text
    assert "no hyperbola: this fit needs 3 batch sizes" in text
    assert all(str(size) in text for size in WORLD.batch_sizes)


def test_best_rates_say_exponent_edges_and_failures(everything):
    text = said(everything[3]["best_rate"])
    exponent = {v.claim: v for v in everything[2]}["krizhevsky2014-exponent"].statistic
    assert f"exponent {exponent.estimate:.2f} [{exponent.low:.2f}, {exponent.high:.2f}]" in text
    assert "a seed failed" in text
    assert "square root" in text
    evidence = replace(WORLD, best_rate=2.0**-4, exponent=1.0, evaluations=0).draw(0)
    evidence.planes["epochs"].validation[0, :, 4] = np.nan
    text = said(best_rate_figure(evidence))
    assert "grid's upper end" in text
    assert "batch size 16: some seed failed at every rate" in text
    assert "no exponent" in text


def test_what_was_not_run_is_left_out(sheets):
    world = replace(WORLD, planes=("epochs", "updates"), evaluations=0)
    assert list(drawn(world)[3]) == ["gap", "best_rate", "claims"]
    evidence = replace(world, reporting=1, planes=("epochs",)).draw(0)
    pictures = all_figures(evidence, {"finite data": "needs seeds"}, judge(evidence))
    assert list(pictures) == ["claims"]
    assert "95 % intervals" not in said(pictures["claims"])
    assert "Not measured (15)" in said(pictures["claims"])


def test_no_text_meets_another(everything, sheets):
    assert len(sheets) >= len(NAMES)
    for sheet in sheets:
        sheet.figure.canvas.draw()  # else labels are where the other format had them
        texts = [t for t in sheet.figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
        boxes = [(t.get_text(), t.get_window_extent().padded(-1)) for t in texts]
        for (one, a), (other, b) in itertools.combinations(boxes, 2):
            assert not a.overlaps(b), (one, other)


def test_files_are_written_and_stale_ones_removed(tmp_path, everything):
    pictures = everything[3]
    paths = write_figures(tmp_path, pictures)
    assert {path.name for path in paths} == {f"{n}.{s}" for n in NAMES for s in ("png", "svg")}
    assert (tmp_path / "figures" / "gap.svg").read_bytes() == pictures["gap"].svg
    (tmp_path / "figures" / "plane.png").touch()
    write_figures(tmp_path, {"claims": pictures["claims"]})
    left = {path.name for path in (tmp_path / "figures").iterdir()}
    assert left == {"claims.png", "claims.svg", "plane.png"}

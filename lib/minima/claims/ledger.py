"""The table of claims: what the literature says of batch size, and how each statement can fail.

Where a size or number is not in the source as stored with this project's notes, or was remembered
and not re-read, the entry's comment says so. Sizes and tolerances were fixed before any data.
"""

import difflib
from collections.abc import Sequence

from minima.claims import accuracy_claims as accuracy
from minima.claims import scaling_claims as scaling
from minima.claims.claim import AT_MOST, NUMBER, SIGN, WITHIN, Claim, Verdict, judge_claim, settle
from minima.claims.evidence import Evidence

_POINTS = "points"
_ADAM = ("--optimizer=adamw", "--learning_rates=0.0005:0.032:log7")
_SMALL_LARGE = "smallest less largest batch size"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="keskar2017-gap",
        source="Keskar et al. 2017, table 2, arXiv:1609.04836",
        sentence="Large-batch training generalises worse than small-batch training.",
        protocol=f"{_SMALL_LARGE}, the small one's tuned rate for both, same epochs",
        rule=SIGN,
        predicted=2.5,  # table 2's six gaps: 0.22, 1.98, 2.78, 3.13, 4.57, 5.27 points
        tolerance=0.5,
        unit=_POINTS,
        needs=("epochs",),
        measure=accuracy.same_rate_same_epochs,
    ),
    Claim(
        id="hoffer2017-updates",
        source="Hoffer, Hubara and Soudry 2017, table 1, arXiv:1705.08741",
        sentence="With the rate scaled by the square root and as many updates, the gap vanishes.",
        protocol=f"{_SMALL_LARGE}, the large one's rate scaled by the root of the batch ratio "
        "(tuned where the grid lacks it), same updates",
        rule=AT_MOST,
        predicted=0.0,  # table 1: adapted large batches end 0.26 to 1.95 points above small ones
        tolerance=accuracy.MARGIN,
        unit=_POINTS,
        needs=("epochs", "updates"),
        measure=accuracy.scaled_rate_same_updates,
        opponents=("smith2020-noise",),
    ),
    Claim(
        id="goyal2017-accuracy",
        source="Goyal et al. 2017, figure 1, arXiv:1706.02677",
        sentence="A rate scaled linearly with the batch keeps the accuracy over three octaves.",
        protocol="smallest batch size at its tuned rate less each one up to 8 times as large at "
        "the rate scaled linearly, same epochs; the worst counts",
        rule=AT_MOST,
        predicted=0.0,  # ResNet-50: 23.60 % error at 256, 23.74 % at 8k (from memory)
        tolerance=accuracy.MARGIN,
        unit=_POINTS,
        needs=("epochs",),
        measure=accuracy.linear_diagonal,
    ),
    Claim(
        id="shallue2019-gap",
        source="Shallue et al. 2019, abstract, arXiv:1811.03600",
        sentence="Tuned and trained long enough, larger batches do not generalise worse.",
        protocol=f"{_SMALL_LARGE}, each at its own tuned rate, same updates",
        rule=AT_MOST,
        predicted=0.0,
        tolerance=accuracy.MARGIN,
        unit=_POINTS,
        needs=("epochs", "updates"),
        measure=accuracy.tuned_same_updates,
        opponents=("smith2020-noise",),
    ),
    Claim(
        id="shallue2019-slope",
        source="Shallue et al. 2019, figure 1, arXiv:1811.03600",
        sentence="At first, doubling the batch halves the updates that a target takes.",
        protocol="slope of log updates to a common validation accuracy against log batch size over "
        "the three smallest octaves, at the rate that gets there first",
        rule=NUMBER,
        predicted=-1.0,
        tolerance=0.1,
        unit="of log updates per log batch size",
        needs=("epochs", "curves"),
        measure=scaling.first_slope,
    ),
    Claim(
        id="smith2020-noise",
        source="Smith, Elsen and De 2020, abstract, arXiv:2006.15081",
        sentence="Tuned and at the same number of updates, small batches still generalise better.",
        protocol=f"{_SMALL_LARGE}, each at its own tuned rate, same updates",
        rule=SIGN,
        predicted=1.0,  # the abstract says "substantially"; the size is this project's reading
        tolerance=0.5,
        unit=_POINTS,
        needs=("epochs", "updates"),
        measure=accuracy.tuned_same_updates,
        opponents=("hoffer2017-updates", "shallue2019-gap"),
    ),
    Claim(
        id="jastrzebski2017-ratio",
        source="Jastrzebski et al. 2017, arXiv:1711.04623",
        sentence="Runs of one ratio of learning rate to batch size generalise alike.",
        protocol="smallest batch size less each one up to 4 times as large, at every rate for "
        "which the grid has one of the same ratio, same epochs; the largest difference counts",
        rule=WITHIN,
        predicted=0.0,
        tolerance=accuracy.MARGIN,
        unit=_POINTS,
        needs=("epochs",),
        measure=accuracy.equal_ratio,
    ),
    Claim(
        id="mccandlish2018-hyperbola",
        source="McCandlish et al. 2018, equation 2.11, arXiv:1812.06162",
        sentence="Updates to a target follow S_min (1 + B_crit/B).",
        protocol="1 - R^2 of that law for log updates to a common validation accuracy; PARTIAL "
        "where B_crit is not within the batch sizes",
        rule=AT_MOST,
        predicted=0.0,
        tolerance=0.05,
        unit="of the variance unexplained",
        needs=("epochs", "curves"),
        measure=scaling.hyperbola_misfit,
    ),
    Claim(
        id="masters2018-small",
        source="Masters and Luschi 2018, abstract, arXiv:1804.07612",
        sentence="The best test accuracy is had with batches of 2 to 32.",
        protocol="best batch size up to 32 less the best above 32, each tuned, same epochs",
        rule=SIGN,
        predicted=1.0,  # the abstract gives no size; this one is this project's reading
        tolerance=0.5,
        unit=_POINTS,
        needs=("epochs",),
        measure=accuracy.small_batches_best,
    ),
    Claim(
        id="smith2018-growing",
        source="Smith, Kindermans, Ying and Le 2018, arXiv:1711.00489",
        sentence="Growing the batch does what decaying the learning rate does.",
        protocol="rate divided less batch multiplied, by the same factor at the same epochs, from "
        "the same batch size and rate",
        rule=WITHIN,
        predicted=0.0,
        tolerance=accuracy.MARGIN,
        unit=_POINTS,
        needs=("decayed", "grown"),
        measure=accuracy.decayed_over_grown,
    ),
    Claim(
        id="marek2025-half-life",
        source="Marek et al. 2025, abstract, arXiv:2507.07101",
        sentence="With beta2's half-life fixed in examples, small batches do as well or better.",
        protocol="largest less smallest batch size, each tuned, same examples, Adam",
        rule=AT_MOST,
        predicted=0.0,
        tolerance=accuracy.MARGIN,
        unit=_POINTS,
        needs=("epochs",),
        measure=accuracy.large_over_small_half_life,
        flags=(*_ADAM, "--beta2_half_life=20000"),
    ),
    Claim(
        id="vyas2023-online",
        source="Vyas et al. 2023, abstract, arXiv:2306.08590",
        sentence="On data that never repeat, the noise of small batches brings no benefit.",
        protocol=f"{_SMALL_LARGE}, each at its own tuned rate, same updates, infinite data",
        rule=AT_MOST,
        predicted=0.0,
        tolerance=accuracy.MARGIN,
        unit=_POINTS,
        needs=("infinite_updates",),
        measure=accuracy.tuned_same_updates_infinite,
    ),
    Claim(
        id="goyal2017-exponent",
        source="Goyal et al. 2017, section 2.1, arXiv:1706.02677; Krizhevsky 2014 in practice, "
        "arXiv:1404.5997",
        sentence="The best learning rate of SGD grows linearly with the batch size.",
        protocol="exponent of best rate by validation accuracy against batch size, same epochs",
        rule=NUMBER,
        predicted=1.0,  # from memory, as are the two below
        tolerance=0.25,
        unit="(exponent)",
        needs=("epochs",),
        measure=scaling.sgd_rate_exponent,
        opponents=("krizhevsky2014-exponent",),
    ),
    Claim(
        id="krizhevsky2014-exponent",
        source="Krizhevsky 2014 in theory, arXiv:1404.5997; Hoffer et al. 2017",
        sentence="The best learning rate of SGD grows with the square root of the batch size.",
        protocol="exponent of best rate by validation accuracy against batch size, same epochs",
        rule=NUMBER,
        predicted=0.5,
        tolerance=0.25,
        unit="(exponent)",
        needs=("epochs",),
        measure=scaling.sgd_rate_exponent,
        opponents=("goyal2017-exponent",),
    ),
    Claim(
        id="malladi2022-exponent",
        source="Malladi et al. 2022, arXiv:2205.10287",
        sentence="The best learning rate of Adam grows with the square root of the batch size.",
        protocol="exponent of best rate by validation accuracy against batch size, same epochs",
        rule=NUMBER,
        predicted=0.5,
        tolerance=0.25,
        unit="(exponent)",
        needs=("epochs",),
        measure=scaling.adam_rate_exponent,
        flags=_ADAM,
    ),
)


def judge(evidence: Evidence, claims: Sequence[Claim] = CLAIMS) -> list[Verdict]:
    """The verdict on every claim, in the table's order; the same evidence, the same verdicts."""
    return settle([judge_claim(claim, evidence) for claim in claims], tuple(claims))


def find(claim_id: str, claims: Sequence[Claim] = CLAIMS) -> Claim:
    """One claim by its id.

    Raises:
      KeyError: there is none; the message names the nearest.
    """
    by_id = {claim.id: claim for claim in claims}
    if claim_id not in by_id:
        near = difflib.get_close_matches(claim_id, by_id, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise KeyError(f"no claim {claim_id!r}{hint}")
    return by_id[claim_id]

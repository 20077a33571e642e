"""Brief A: which customers will leave, from 78 weeks of purchases?"""

from judged import Judged
from minima.claims.claim import SIGN
from minima.claims.seeded import Judge
from minima.sweep.config import TaskConfig
from minima.tasks.datasets import churn as customers
from parts.architecture_briefs.brief import Brief, Scores, best_of, difference
from parts.architecture_briefs.config import BRIEFS, CHURN, BriefsConfig

LEAD, LEAST_LEAD = 3.0, 0.5  # points by which order should help, and the least of interest
SUMMARY, SUMMARY_YEAR = "logistic, summaries", "logistic, summaries with last year"
SEQUENCE = ("CNN on weeks", "GRU on weeks", "transformer on weeks")


def brief(config: BriefsConfig) -> Brief:
    """Candidates from a table of summaries to networks that read every week."""
    weeks = config.source(CHURN)
    width = config.runs.width
    tasks = {
        SUMMARY: TaskConfig(dataset=config.source(CHURN, customers.SUMMARY), model="linear"),
        SUMMARY_YEAR: TaskConfig(
            dataset=config.source(CHURN, customers.SUMMARY_YEAR), model="linear"
        ),
        "logistic, weeks": TaskConfig(dataset=weeks, model="linear"),
        "MLP on weeks": TaskConfig(dataset=weeks, model="mlp"),
        SEQUENCE[0]: TaskConfig(dataset=weeks, model="cnn1d"),
        SEQUENCE[1]: TaskConfig(dataset=weeks, model="gru", width=width),
        SEQUENCE[2]: TaskConfig(dataset=weeks, model="transformer", width=width, depth=1),
    }
    return Brief(
        CHURN,
        BRIEFS[CHURN],
        "sequential: one number a week for each customer, whose order, season and recent fall say "
        "who leaves.",
        "% accuracy",
        {name: config.sweep(task, config.runs.churn_steps) for name, task in tasks.items()},
        _judge,
        "customers without seasons (then summaries do as well), summaries that know the season, or "
        "fewer customers than a network needs.",
    )


def _judge(judge: Judge, scores: Scores) -> list[Judged]:
    best = best_of(scores, SEQUENCE)
    fixed = (SIGN, LEAD, LEAST_LEAD, "points")
    picked = (f"of the sequence models the best on these runs is taken: {best}",)
    return [
        judge.over_seeds(
            "A: order beats summaries",
            "a network that reads the weeks beats a logistic model of their summaries",
            fixed,
            difference(scores, best, SUMMARY),
            notes=picked,
        ),
        judge.over_seeds(
            "A: and summaries that know last year",
            "it beats a logistic model that is told of the same weeks of last year, too",
            fixed,
            difference(scores, best, SUMMARY_YEAR),
            notes=picked,
        ),
    ]

"""Configuration of fairness: whose data, which repairs how strong, and on which draws."""

from dataclasses import dataclass

from minima.runtime.errors import UserError
from minima.sweep.budgets import Budget
from minima.sweep.config import (
    EngineConfig,
    ProcessesConfig,
    RecordConfig,
    TaskConfig,
    TrainingConfig,
)
from minima.sweep.grid import format_floats
from minima.sweep.leaf import AT_LEAST_1, in_range, is_share, leaf, rates_leaf, seeds_leaf

CREDIT = "credit"  # the dataset of which draws, truth and zip code are known
FORMS = (CREDIT, "credit_truth", "credit_without_zip")


@dataclass(frozen=True)
class RepairsConfig:
    """What is done about a biased past, and how it is judged."""

    draws: tuple[int, ...] = seeds_leaf(
        (2, 3, 4, 5, 6, 7),
        "of the generated applicants, each learned from with a seed of its own; seeds alone for "
        "other data; strengths and rates were settled on 0 and 1",
    )
    strengths: tuple[float, ...] = rates_leaf(
        (0.3, 1.0, 3.0, 10.0, 30.0), "of the parity penalty, besides none: lanes of one program"
    )
    judged_strength: float = leaf(1.0, "one of them: a mild penalty, best by the truth on 0 and 1")
    batch_size: int = leaf(500, "a parity penalty compares the groups of a batch", check=AT_LEAST_1)
    rate: float = leaf(0.003, "learning rate", check=in_range(0, float("inf"), open_low=True))
    least: int = leaf(
        100, "people of a group below which its rates are marked as saying little", check=AT_LEAST_1
    )
    review_share: float = leaf(0.2, "share of the cases that people decide", check=is_share)
    review_skill: float = leaf(
        0.9, "how often they are right, about everybody alike", check=is_share
    )
    price: float = leaf(
        0.05, "of accuracy that making groups equal may cost, where it is said to be impossible",
        check=is_share,
    )  # fmt: skip
    compas: str = leaf(
        "",
        "your copy of ProPublica's compas-scores-two-years.csv: seven columns are counted, none is "
        "kept; empty: not asked",
    )


@dataclass(frozen=True)
class FairnessConfig:
    """Decisions learned from a biased past."""

    repairs: RepairsConfig = RepairsConfig()
    task: TaskConfig = TaskConfig(
        dataset=CREDIT, model="mlp", width=32, depth=1, validation_fraction=0.3
    )
    training: TrainingConfig = TrainingConfig(
        optimizer="adam", budget=Budget(epochs=30), evaluations=5, weight_decay=1e-3
    )
    engine: EngineConfig = EngineConfig()
    record: RecordConfig = RecordConfig(snapshots=1)
    processes: ProcessesConfig = ProcessesConfig()

    def __post_init__(self) -> None:
        """Refuses what would leave nothing to compare.

        Raises:
          UserError: names the flag.
        """
        repairs, training, name = self.repairs, self.training, self.task.dataset
        if name.partition(":")[0] in FORMS and name != CREDIT:
            raise UserError(
                f"--dataset={name}: --draws says which applicants are drawn, and the truth is "
                f"learned from beside; use --dataset={CREDIT}"
            )
        if len(set(repairs.strengths)) < 2:
            raise UserError(
                f"--strengths={format_floats(repairs.strengths)}: a frontier needs two or more, "
                "such as 1,10"
            )
        if repairs.judged_strength not in repairs.strengths:
            raise UserError(
                f"--judged_strength={repairs.judged_strength:g}: must be one of "
                f"--strengths={format_floats(repairs.strengths)}"
            )
        if self.task.validation_fraction == 0:
            raise UserError(
                "--validation_fraction=0: thresholds are fitted on validation examples; use a "
                "fraction such as 0.3"
            )
        if self.task.train_examples:
            raise UserError(
                f"--train_examples={self.task.train_examples}: the people trained on are those of "
                "the table; leave it out"
            )
        for flag in ("parity_penalty", "reweighting", "group_dro", "irm_penalty", "vrex_penalty"):
            if value := getattr(training, flag):
                raise UserError(
                    f"--{flag}={value:g}: the plain network must have none; leave it out"
                )
        if not self.record.snapshots:
            raise UserError("--snapshots=0: decisions are made by what is kept; use 1")


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "draws": "0,",
        "strengths": "1,10",
        "width": 8,
        "budget": "2epochs",
        "rate": 0.01,
        "evaluations": 1,
    },
    "laptop": {},
    "gpu": {
        "dataset": "adult",
        "draws": "2,3,4,5,6,7,8,9,10,11",
        "width": 128,
        "depth": 2,
        "budget": "40epochs",
        "strengths": "0.1,0.3,1,3,10,30,100",
        "rate": 0.001,
    },
    "pod": {
        "dataset": "adult",
        "draws": ",".join(str(draw) for draw in range(2, 52)),
        "width": 512,
        "depth": 3,
        "budget": "60epochs",
        "strengths": "0.03,0.1,0.3,1,3,10,30,100,300",
        "rate": 0.001,
    },
}

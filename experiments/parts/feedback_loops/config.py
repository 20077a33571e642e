"""Configuration of feedback loops: how many worlds, for how long, how strong the cure. Cheap."""

from dataclasses import dataclass

from minima.runtime.errors import UserError
from minima.sweep.config import RecordConfig
from minima.sweep.leaf import AT_LEAST_1, NOT_NEGATIVE, in_range, leaf

_LEAST = 20  # worlds that a paired comparison needs to mean something
_SHARE = in_range(0, 1, open_low=True)


@dataclass(frozen=True)
class PatrolsConfig:
    """Two areas, patrols that go where crime was found."""

    urns: int = leaf(10_000, "worlds of equal rates without correction", check=AT_LEAST_1)
    other_urns: int = leaf(2_000, "worlds of every other condition", check=AT_LEAST_1)
    days: int = leaf(10_000, "of patrols", check=AT_LEAST_1)
    looks: int = leaf(20, "how often shares are kept; divides --days", check=AT_LEAST_1)


@dataclass(frozen=True)
class RecommenderConfig:
    """A food-delivery app whose recommender is retrained on the orders that it brought."""

    markets: int = leaf(384, "worlds of every policy", check=AT_LEAST_1)
    users: int = leaf(48, "of the app in a world", check=in_range(2, 2**16))
    restaurants: int = leaf(40, "in a world; one in five comes with the launch")
    weeks: int = leaf(26, "after the launch", check=in_range(4, 2**16))
    exploration: float = leaf(
        0.1, "share of a list drawn among all other restaurants, where there is any", check=_SHARE
    )


@dataclass(frozen=True)
class HiringConfig:
    """A firm that learns whom to hire from those whom it hired."""

    firms: int = leaf(512, "worlds of every way to learn", check=AT_LEAST_1)
    applicants: int = leaf(400, "a year, of whom a quarter is hired", check=in_range(40, 2**20))
    years: int = leaf(12, "in which the model decides", check=in_range(2, 1000))
    lots: float = leaf(
        0.1, "share of places given by lot among all others, where there are any", check=_SHARE
    )
    bias: float = leaf(
        0.5,
        "by how much people's bar was higher for the second group, in standard deviations",
        check=NOT_NEGATIVE,
    )


@dataclass(frozen=True)
class FeedbackConfig:
    """Three loops: a model decides what it will learn from."""

    patrols: PatrolsConfig = PatrolsConfig()
    recommender: RecommenderConfig = RecommenderConfig()
    hiring: HiringConfig = HiringConfig()
    first_seed: int = leaf(
        0, "worlds are numbered from here; the generators were set on 1000 and up"
    )
    record: RecordConfig = RecordConfig(snapshots=0)

    def __post_init__(self) -> None:
        """Refuses what says nothing.

        Raises:
          UserError: names the flag.
        """
        patrols, shop = self.patrols, self.recommender
        if patrols.days % patrols.looks:
            raise UserError(
                f"--looks={patrols.looks}: must divide --days={patrols.days}, such as 20 in 10,000"
            )
        if shop.restaurants < 15 or shop.restaurants % 5:
            raise UserError(
                f"--restaurants={shop.restaurants}: lists have 5, and a fifth is new; use a "
                "multiple of 5 from 15"
            )
        worlds = {
            "urns": patrols.urns,
            "other_urns": patrols.other_urns,
            "markets": shop.markets,
            "firms": self.hiring.firms,
        }
        for flag, count in worlds.items():
            if count < _LEAST:
                raise UserError(f"--{flag}={count}: intervals over worlds need {_LEAST} or more")


PRESETS: dict[str, dict[str, object]] = {
    "smoke": {
        "urns": 1000,
        "other_urns": 100,
        "days": 600,
        "looks": 3,
        "markets": 20,
        "users": 16,
        "restaurants": 20,
        "weeks": 5,
        "firms": 20,
        "applicants": 80,
        "years": 3,
    },
    "laptop": {},
    "gpu": {
        "urns": 100_000,
        "other_urns": 20_000,
        "days": 100_000,
        "markets": 4096,
        "users": 512,
        "restaurants": 200,
        "weeks": 52,
        "firms": 32_768,
        "applicants": 2000,
    },
    "pod": {
        "urns": 1_000_000,
        "other_urns": 50_000,
        "days": 200_000,
        "markets": 4096,
        "users": 2048,
        "restaurants": 500,
        "weeks": 104,
        "firms": 65_536,
        "applicants": 10_000,
    },
}

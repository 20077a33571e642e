"""From a trained plane to the evidence that verdicts rest on: branches, twins, and readings."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from minima.claims import protocol, readings
from minima.claims.choosing import UndecidedError, choose
from minima.claims.evidence import Evidence, Plane
from minima.claims.protocol import Stage
from minima.claims.readings import Reading
from minima.landscape.measured_run import Request, measure_run
from minima.sweep.config import SweepConfig
from minima.sweep.run import Prepared
from parts.batch_size_vs_learning_rate.config import BRANCHES, LandscapeConfig

Train = Callable[[SweepConfig], Prepared | None]  # None: stopped before it was done


@dataclass
class Collection:
    """Evidence as it grows.

    Attributes:
      trunk: the plane's own reading.
      train: trains a stage, or takes it from disk.
      planes: by name, see `Evidence`.
      longer: the reading of "updates", once there is one.
      notes: what was left out, and why.
    """

    trunk: Reading
    train: Train
    planes: dict[str, Plane] = field(default_factory=dict)
    longer: Reading | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def config(self) -> SweepConfig:
        """What the plane trained."""
        return self.trunk.plan.config

    def evidence(self) -> Evidence:
        """All there is so far."""
        plan = self.trunk.plan
        return Evidence(
            planes=dict(self.planes),
            curves=readings.curves(self.trunk, self.longer),
            choosing=protocol.split_seeds(self.trunk.seeds)[0],
            reporting=protocol.split_seeds(self.trunk.seeds)[1],
            optimizer=plan.config.training.optimizer,
            floor=1 / plan.dataset.num_classes,
            beta2_half_life=plan.config.training.beta2_half_life,
            notes=tuple(self.notes),
        )

    def add(self, stage: Stage) -> Reading | None:
        """Trains a stage and reads it; None where it was stopped."""
        print(f"\n{stage.name}:", flush=True)
        prepared = self.train(stage.config)
        return None if prepared is None else read(prepared)


def read(prepared: Prepared) -> Reading:
    """A finished run."""
    mesh = prepared.plan.layout.make_mesh()
    return Reading(prepared.plan, prepared.directory, mesh)


def cells_without_minimum(prepared: Prepared) -> int:
    """How many trained cells of a finished plane kept no state of their end."""
    reading = read(prepared)
    trained = {n: r for n, r in reading.records.items() if r["status"] not in readings.FAILED}
    return sum(r["steps"] not in reading.snapshots.steps(n) for n, r in trained.items())


def look_at_minima(prepared: Prepared, config: LandscapeConfig) -> None:
    """Measures the minimum of every cell of a finished plane, and shows it."""
    print(f"\nlandscape: {', '.join(config.measure)}", flush=True)
    mesh = prepared.plan.layout.make_mesh()
    request = Request(config.measure, config.measure_examples)
    measure_run(prepared.plan, prepared.directory, request, mesh)
    print(f"figure:   {prepared.directory / 'figures' / 'landscape.png'}")


def collect(prepared: Prepared, branches: tuple[str, ...], train: Train) -> Evidence | None:
    """Trains the branches and twins of a finished plane, and reads it all; None where stopped."""
    found = Collection(read(prepared), train)
    found.planes["epochs"] = found.trunk.plane()
    budget = found.config.training.budget
    if budget.target or budget.early_stopping:
        found.notes.append(f"epochs: with --budget={budget} cells stop by themselves, not together")
    steps = {"updates": _updates, "schedules": _schedules, "infinite": _infinite}
    for name in BRANCHES:
        reason = protocol.can_branch(found.config, name) if name in branches else "not asked for"
        if reason:
            found.notes.append(f"{name}: {reason}")
            continue
        try:
            if not steps[name](found, prepared):
                return None
        except UndecidedError as error:
            found.notes.append(f"{name}: needs {error}")
    return found.evidence()


def _updates(found: Collection, prepared: Prepared) -> bool:
    """The largest batch size for as many updates as the smallest, and at its training loss."""
    trunk = found.trunk
    found.longer = _go_on(found, trunk, "epochs", "updates")
    if found.longer is None:
        return False
    small = choose(found.evidence(), "epochs", 0)
    found.planes["loss"] = readings.same_loss_plane(trunk, found.longer, small.column)
    return True


def _schedules(found: Collection, prepared: Prepared) -> bool:
    """Rate down, or batch up, halfway; both planes are named by what they started from."""
    trunk, evidence = found.trunk, found.evidence()
    start = choose(evidence, "epochs", 0)
    count = len(trunk.plan.dataset.train)
    for stage in protocol.switches(found.config, prepared.place, evidence, count):
        reading = found.add(stage)
        if reading is None:
            return False
        plane = reading.plane(stage.before)
        found.planes[stage.name] = replace(
            plane, batch_sizes=(start.batch_size,), learning_rates=(start.rate,)
        )
    return True


def _infinite(found: Collection, prepared: Prepared) -> bool:
    """Both again, on data that never repeat."""
    endless = found.add(protocol.infinite_plane(found.config))
    if endless is None:
        return False
    found.planes["infinite_epochs"] = endless.plane()
    return _go_on(found, endless, "infinite_epochs", "infinite_updates") is not None


def _go_on(found: Collection, trunk: Reading, plane: str, name: str) -> Reading | None:
    """The largest batch size of a trunk for as many updates as the smallest."""
    stage = protocol.as_many_updates(
        trunk.plan.config,
        str(trunk.run.path),
        found.evidence(),
        plane,
        len(trunk.plan.dataset.train),
    )
    longer = found.add(stage)
    if longer is not None:
        found.planes[name] = readings.same_updates_plane(trunk, longer, stage.before)
    return longer

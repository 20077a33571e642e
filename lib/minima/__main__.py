"""`python -m minima`: questions about this machine and about finished runs."""

import argparse
import sys
from collections.abc import Sequence

from minima.record.mirrored import kept_up
from minima.record.remote import Unreachable
from minima.runtime.errors import UserError
from minima.runtime.interrupts import STOPPED_AND_SAVED, ends_with_its_reader


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code.

    0, 1 (a replay that doesn't hold, shards that leave cells missing), 2 (a mistake of the user's,
    one line on standard error) or 75 (a store does not answer: the same command again). Leaves with
    141 where nobody reads what it prints any more.
    """
    options = _parser().parse_args(arguments)
    try:
        with ends_with_its_reader(), kept_up():
            return options.run(options)
    except UserError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except Unreachable as error:
        print("error:", error, file=sys.stderr)
        return STOPPED_AND_SAVED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m minima", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    show = commands.add_parser("show", help="what a run is, how it stands and what is best")
    show.add_argument(
        "run_dir", metavar="RUN", help="a run's directory or URL; it may still be running"
    )
    show.set_defaults(run=_show)

    compare = commands.add_parser("compare", help="two runs, paired cell by cell")
    compare.add_argument("first", metavar="RUN", help="a run's directory or URL")
    compare.add_argument("second", metavar="RUN", help="another; the first is taken from it")
    compare.add_argument(
        "--any_data", action="store_true", help="compare although the data sets differ"
    )
    compare.set_defaults(run=_compare)

    gather = commands.add_parser("gather", help="put the shards of a run together, at any time")
    gather.add_argument("run_dirs", metavar="RUN", nargs="+", help="a run's directory or URL")
    gather.set_defaults(run=_gather)

    export = commands.add_parser("export", help="the cells as trials in Shallue et al.'s schema")
    export.add_argument(
        "run_dir", metavar="RUN", help="a run's directory or URL; it may still be running"
    )
    export.add_argument("directory", metavar="DIRECTORY", help="new, empty or an earlier export")
    export.set_defaults(run=_export)

    measure = commands.add_parser("measure", help="curvature and sharpness of a run's minima")
    measure.add_argument("run_dir", metavar="RUN", help="a run's directory or URL")
    measure.add_argument(
        "--panels",
        type=lambda text: tuple(text.split(",")),
        default=("hessian", "sharpness", "noise"),
        help="of hessian, sharpness, noise, norms, preconditioned (default: the first three)",
    )
    measure.add_argument(
        "--examples", type=_count, default=1000, help="training examples (default 1000; 0: all)"
    )
    measure.add_argument(
        "--cells", nargs="+", metavar="CELL", help="bs=32,lr=0.1,seed=0, or rows of results.csv"
    )
    measure.add_argument("--seed", type=_count, default=0, help="of random probes (default 0)")
    measure.add_argument("--dtype", choices=("float32", "float64"), help="default: as trained")
    measure.set_defaults(run=_measure)

    diagnose = commands.add_parser(
        "diagnose", help="what a training log shows: overfit, underfit, unstable, leaking, healthy"
    )
    diagnose.add_argument(
        "log",
        metavar="RUN_OR_CSV",
        help="a run's directory or URL, or a CSV with epoch or step, train_loss and val_loss, or "
        "TensorBoard's folder",
    )
    diagnose.add_argument(
        "--classes",
        type=_positive,
        default=None,
        help="that the network tells apart, where the log does not say it",
    )
    diagnose.set_defaults(run=_diagnose)

    claims = commands.add_parser("claims", help="the claims that runs are judged on")
    claims.add_argument("claim", metavar="ID", nargs="?", help="one of them, with its tolerance")
    claims.set_defaults(run=_claims)

    verdicts = commands.add_parser("verdicts", help="what all runs of a folder said about claims")
    verdicts.add_argument("workdir", nargs="?", default="runs", help="of experiments (runs)")
    verdicts.add_argument("--all", action="store_true", help="show those that pass, too")
    verdicts.set_defaults(run=_verdicts)

    reproduce = commands.add_parser("reproduce", help="train what one claim needs, and judge it")
    reproduce.add_argument("claim", metavar="ID", help="see `python -m minima claims`")
    reproduce.add_argument("flags", nargs="*", help="the experiment's own, after --")
    reproduce.set_defaults(run=_reproduce)

    replay = commands.add_parser("replay", help="train a recorded cell again and compare")
    replay.add_argument("run_dir", metavar="RUN", help="a run's directory or URL")
    replay.add_argument("cell", metavar="CELL", help="bs=32,lr=0.1,seed=0, or a row of results.csv")
    replay.add_argument(
        "--updates", type=_positive, default=100, help="updates of the plain loop (default 100)"
    )
    replay.set_defaults(run=_replay)

    _add_audit(commands)
    _add_monitor(commands)

    probe = commands.add_parser("probe", help="measure what this machine trains per second")
    probe.add_argument("--model", default="cnn_small", help="as for an experiment")
    probe.add_argument("--dataset", default="fashion_mnist", help="as for an experiment")
    probe.add_argument("--optimizer", default="momentum", help="as for an experiment")
    probe.add_argument("--microbatches", type=_positives, default=(32,), help="such as 16,32,64")
    probe.add_argument(
        "--blocks", type=_positives, default=None, help="lanes per vmap to try, such as 1,4,16"
    )
    probe.set_defaults(run=_probe)
    return parser


def _add_audit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from minima.evaluation.limits import Limits

    parser = commands.add_parser("audit", help="the four questions before release, of predictions")
    parser.add_argument("predictions", metavar="PREDICTIONS", help="CSV with a head line, or npz")
    parser.add_argument("--label", default="label", help="column of classes from 0 (label)")
    parser.add_argument(
        "--score",
        type=_names,
        default=("score",),
        metavar="COLUMNS",
        help="probability of class 1, or one column for each class (score)",
    )
    parser.add_argument(
        "--threshold", type=float, help="of the score, from which the system decides 1"
    )
    asked = {
        "groups": "who must be treated alike: race,sex",
        "cues": "what may go with the label by accident: ruler",
        "covered": "what the deployment varies in: city,month",
    }
    for name, text in asked.items():
        parser.add_argument(f"--{name}", type=_names, default=(), metavar="COLUMNS", help=text)
    parser.add_argument("--deployment", help="CSV or npz with the --covered columns, as deployed")
    for name, value in Limits().__dict__.items():
        if name != "confidence":
            text = f"limit (default {value:g}); see the report"
            parser.add_argument(f"--{name}", type=type(value), default=value, help=text)
    parser.add_argument("--seed", type=int, default=0, help="of bootstraps (default 0)")
    parser.add_argument("--report", default="audit", help="folder for audit.html and audit.md")
    parser.set_defaults(run=_audit)


def _add_monitor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("monitor", help="does a stream still look as at launch?")
    parser.add_argument("stream", metavar="STREAM", help="CSV with a head line, or npz, in order")
    parser.add_argument("--launch", required=True, help="CSV or npz: the same columns, from launch")
    parser.add_argument(
        "--features", type=_names, default=(), metavar="COLUMNS", help="numbers to watch: age,rent"
    )
    parser.add_argument("--prediction", default="", help="column of the classes that were given")
    parser.add_argument("--label", default="", help="column of true classes, empty until they come")
    parser.add_argument(
        "--classes", type=_positive, help="that there are (default: as many as at launch)"
    )
    parser.add_argument("--window", type=_positive, default=200, help="rows at a time (200)")
    parser.add_argument(
        "--level", type=float, default=0.05, help="share of unshifted streams with alarms (0.05)"
    )
    parser.add_argument(
        "--rise", type=float, default=0.1, help="of the error rate, to be found soonest (0.1)"
    )
    parser.add_argument("--delay", type=_count, default=0, help="windows until labels arrive (0)")
    parser.add_argument("--seed", type=_count, default=0, help="of permutations (0)")
    parser.add_argument("--report", default="monitor", help="folder for monitor.md and tables")
    parser.set_defaults(run=_monitor)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _positives(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _show(options: argparse.Namespace) -> int:
    from minima.record import results, summary, terminal

    summary.print_run(terminal.make_console(), results.load(options.run_dir))
    return 0


def _compare(options: argparse.Namespace) -> int:
    from minima.record import comparison, results, terminal

    first, second = results.load(options.first), results.load(options.second)
    found = comparison.compare(first, second, options.any_data)
    comparison.print_comparison(terminal.make_console(), found)
    return 0


def _gather(options: argparse.Namespace) -> int:
    from minima.record import gather_report
    from minima.record.gather import gather

    complete = True
    for run_dir in options.run_dirs:
        try:
            found = gather(run_dir)
        except OSError as error:
            raise UserError(f"{error.filename or run_dir}: {error.strerror}") from error
        print(gather_report.report(found), flush=True)
        complete &= found.complete
    return 0 if complete else 1


def _export(options: argparse.Namespace) -> int:
    from minima.record import results
    from minima.record.export import export

    try:
        print(export(results.load(options.run_dir), options.directory).describe())
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""  # a full disk names its own
        raise UserError(f"{where}{error.strerror}") from error
    return 0


def _measure(options: argparse.Namespace) -> int:
    from minima.landscape.measured_run import Request, measure_run
    from minima.record import results
    from minima.sweep.reopen import reopen
    from minima.sweep.replay import find_cell

    run = results.load(options.run_dir)
    plan = reopen(run)
    named = options.cells
    cells = None if named is None else tuple(find_cell(plan.grid, text) for text in named)
    request = Request(options.panels, options.examples, options.seed, options.dtype, cells)
    mesh = plan.layout.make_mesh()
    try:
        measure_run(plan, run.path, request, mesh)
    except OSError as error:
        raise UserError(f"{error.filename or options.run_dir}: {error.strerror}") from error
    return 0


def _diagnose(options: argparse.Namespace) -> int:
    from minima.claims import diagnosis_report, logs

    print(diagnosis_report.report(logs.read(options.log, options.classes)))
    return 0


def _claims(options: argparse.Namespace) -> int:
    from minima.claims import listing

    print(listing.detail(options.claim) if options.claim else listing.overview())
    return 0


def _verdicts(options: argparse.Namespace) -> int:
    from minima.claims import verdicts

    print("\n".join(verdicts.report(verdicts.read(options.workdir), options.all)))
    return 0


def _reproduce(options: argparse.Namespace) -> int:
    import subprocess

    from minima.claims import listing

    command = listing.command(options.claim, options.flags)
    print("$", " ".join(command), flush=True)
    return subprocess.call([sys.executable, *command[1:]])


def _audit(options: argparse.Namespace) -> int:
    from minima.evaluation import audit_command

    return audit_command.run(options)


def _monitor(options: argparse.Namespace) -> int:
    from minima.evaluation import monitor_command

    return monitor_command.run(options)


def _replay(options: argparse.Namespace) -> int:
    from minima.sweep.replay import replay

    found = replay(options.run_dir, options.cell, options.updates)
    print(found.describe())
    return 0 if found.holds else 1


def _probe(options: argparse.Namespace) -> int:
    import dataclasses

    import jax

    from minima.runtime import compilation, devices
    from minima.sweep import probe
    from minima.sweep.config import SweepConfig, TaskConfig, TrainingConfig
    from minima.sweep.optimizers import OPTIMIZERS
    from minima.sweep.plan import load_task, make_plan
    from minima.sweep.program import AXIS
    from minima.tasks.task import to_arrays

    if options.optimizer not in OPTIMIZERS:
        raise UserError(f"--optimizer={options.optimizer}: not one of {', '.join(OPTIMIZERS)}")
    devices.configure()
    compilation.use_compilation_cache()
    config = SweepConfig(
        task=TaskConfig(dataset=options.dataset, model=options.model),
        training=TrainingConfig(optimizer=options.optimizer),
    )
    task, dataset = load_task(config)
    recipe = make_plan(config, task, dataset).recipe
    mesh = devices.make_mesh(AXIS, jax.device_count())
    arrays = jax.device_put(to_arrays(dataset), jax.NamedSharding(mesh, jax.P()))
    blocks = options.blocks or probe.default_blocks()
    print(f"{options.model} on {options.dataset}, {mesh.size} × {jax.devices()[0].device_kind}")
    print("microbatch  block  examples/s")
    for microbatch in options.microbatches:
        if microbatch > len(dataset.train):
            raise UserError(
                f"--microbatches={microbatch}: larger than the {len(dataset.train)} training "
                "examples; use fewer"
            )
        sized = dataclasses.replace(recipe, microbatch=microbatch, wide=())
        for block, rate in probe.measure(sized, arrays, blocks, mesh):
            print(f"{microbatch:10d}  {block:5d}  {rate:10,.0f}", flush=True)
    print(f"table: {probe.table_path()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How long until something happens."""

from row import Row, Side

_SCRIPT = "experiments/batch_size_vs_learning_rate.py"
_FIRST_STEP = ("benchmarks/sides/first_step.py",)

ROWS = [
    Row("help", "--help", Side("minima", (_SCRIPT, "--help")), wanted=2.0, whole=True),
    Row(
        "start_cold",
        "first compiled step, empty compilation cache",
        Side("minima", _FIRST_STEP, variables=("XDG_CACHE_HOME={folder}",)),
        wanted=15.0,
        whole=True,
    ),
    Row(
        "start_warm",
        "first compiled step, warm compilation cache",
        Side("minima", _FIRST_STEP),
        wanted=5.0,
        whole=True,
    ),
]

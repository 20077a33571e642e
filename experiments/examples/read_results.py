"""Reads a run back: the best learning rate of every batch size with its interval, and a plot.

python experiments/examples/read_results.py runs/<experiment>/<run id> [picture.png]

Copy it: all that a run has is in `run.results`, an xarray Dataset over batch_size × learning_rate ×
seed, with curves over a further dimension `eval`.
"""

import sys

from matplotlib.figure import Figure

import minima
from minima.record.intervals import interval

run = minima.load(sys.argv[1])
picture = sys.argv[2] if len(sys.argv) > 2 else "read_results.png"
results = run.results

# Means are over seeds that trained: one that collapsed to a constant prediction isn't an outcome of
# the rate like any other, and one that diverged has no accuracy at all.
status = dict(zip(results.status.flag_meanings.split(), results.status.flag_values, strict=True))
failed = results.status.isin([status[name] for name in ("pending", "diverged", "collapsed")])
accuracy = 100 * results.test_accuracy.where(~failed)

# The rate is chosen on validation data, among those at which every seed trained.
score = results.validation_accuracy.where(~failed.any("seed")).mean("seed")
figure = Figure(figsize=(7, 4))
plot = figure.add_subplot(xscale="log", xlabel="learning rate", ylabel="test accuracy (%)")
for batch in results.batch_size.values:
    points = [interval(values) for values in accuracy.sel(batch_size=batch).values]
    means, halves = [point.mean for point in points], [point.half for point in points]
    plot.errorbar(results.learning_rate, means, halves, capsize=3, label=f"batch size {batch}")
    row = score.sel(batch_size=batch)
    if row.isnull().all():
        print(f"batch size {batch}: no rate at which every seed trained")
        continue
    rate = row.idxmax("learning_rate").item()
    best = interval(accuracy.sel(batch_size=batch, learning_rate=rate).values)
    print(f"batch size {batch}: {best.describe(unit=' %')} at learning rate {rate:g}")
plot.legend()
figure.savefig(picture, dpi=150, bbox_inches="tight")
print(f"plot: {picture}")

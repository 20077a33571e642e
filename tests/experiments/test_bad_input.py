import os
import shutil
import zipfile

import numpy as np
import pytest

SOUND = "--model=mlp --batch_sizes=16 --budget=1epochs"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--batch_size=16", "did you mean --batch_sizes?"),
        ("--learning-rates=1", "did you mean --learning_rates?"),
        ("--batch_sizes=0", "--batch_sizes=0: "),
        ("--batch_sizes=16:64:x3", "--batch_sizes=16:64:x3: "),
        ("--batch_sizes=abc", "--batch_sizes=abc: "),
        ("--batch_sizes=", "--batch_sizes=: "),
        ("--batch_sizes=16,5000", "--batch_sizes=5000: more than the 4000 "),
        ("--learning_rates=-1", "--learning_rates=-1: "),
        ("--learning_rates=0", "--learning_rates=0: "),
        ("--learning_rates=nan", "--learning_rates=nan: "),
        ("--learning_rates=1e39", "--learning_rates: 1e+39 is outside what float32 holds"),
        ("--learning_rates=1e-50", "--learning_rates: 1e-50 is outside what float32 holds"),
        ("--seeds=0", "--seeds=0: "),
        ("--seeds=1,1", "--seeds=1,1: "),
        ("--budget=", "--budget=: "),
        ("--budget=20", "--budget=20: "),
        ("--budget=epochs", "--budget=epochs: "),
        ("--budget=-1epochs", "--budget=-1epochs: "),
        ("--budget=1e12steps", "--budget=1000000000000steps: "),
        ("--budget=validation_accuracy>=0.9", "needs a bound in epochs, steps or examples"),
        ("--budget=foo>=1,1epochs", "'foo' is no metric; use one of train_loss"),
        ("--budget=1epochs,train_loss<=1e99", "--budget: 1e+99 is outside what float32 holds"),
        ("--momentum=1.5", "--momentum=1.5: "),
        ("--momentum=0.5 --optimizer=sgd", "--momentum=0.5: --optimizer=sgd has none"),
        ("--dropout=1", "--dropout=1: "),
        ("--loss=mse", "--loss=mse: choose one of cross_entropy, squared_error"),
        ("--model=lstm --activation=tanh", "--activation=tanh: --model=lstm has its own"),
        ("--compute_dtype=float16", "--compute_dtype=float16: choose one of default, bfloat16"),
        ("--compute_dtype=bfloat16 --dtype=float64", "--compute_dtype=bfloat16: goes with"),
        ("--model=linear --remat", "--remat: --model=linear has no hidden layers; use --model=mlp"),
        ("--attention_chunk=-1", "--attention_chunk=-1: "),
        ("--attention_chunk=8", "--attention_chunk=8: --model=cnn_small has no attention; use"),
        (
            "--model=transformer --attention_chunk=49",
            "--attention_chunk=49: the sequences have 49 positions; use fewer, or 0 for all",
        ),
        ("--train_examples=-1", "--train_examples=-1: "),
        ("--train_examples=5000", "--train_examples=5000: --dataset=fashion_mnist has 4000 "),
        ("--batch_sizes=200 --train_examples=100", "--batch_sizes=200: more than the 100 "),
        ("--parametrisation=mup", "--parametrisation=mup: --model=cnn_small has none"),
        ("--model=mlp --base_width=8", "--base_width=8: --parametrisation=standard has none"),
        ("--clip_norm=0", "--clip_norm=0: "),
        ("--rho=0.1", "--rho=0.1: does nothing with --sharpness_aware=none"),
        (f"{SOUND} --sharpness_aware=sam --sam_examples=5", "does not divide the batch size 16"),
        ("--label_flips=1", "--label_flips=1: "),
        ("--average=ema", "--average=ema: forgets at no rate; set --average_half_life"),
        (f"{SOUND} --norm=batch --average=swa", "--average=swa: the running statistics of"),
        ("--evaluations=0", "--evaluations=0: "),
        (
            f"{SOUND} --multihost",
            "--multihost: no launcher that JAX knows has started this process",
        ),
        ("--stuck_minutes=-1", "--stuck_minutes=-1: "),
        (
            "--model=cn",
            "--model=cn: choose one of default, linear, mlp, mlp_residual, cnn",
        ),
        ("--optimizer=sdg", "--optimizer=sdg: choose one of sgd, momentum, nesterov, adam"),
        ("--preset=smok", "--preset=smok: choose one of smoke"),
        ("--dataset=fashion", "did you mean fashion_mnist?"),
        ("--dataset=x.npz", "did you mean 'npz:x.npz'?"),
        ("--model=cnn --dataset=mnist1d", "--model=cnn: "),
        ("--microbatch=100000", "--microbatch=100000: larger than the 4000 training examples"),
        ("--lanes=3 --block=2", "--lanes=3: "),
        ("--devices=99", "--devices=99: this machine has "),
        ("--mesh=rows:2", "--mesh=rows:2: give axes data and model, each once; use e.g. data:4"),
        ("--mesh=data:0", "--mesh=data:0: "),
        ("--mesh=data:99", "--mesh=data:99: takes 99 devices, there are "),
        ("--mesh=data:2 --lanes=4", "--lanes=4: --mesh=data:2 trains one cell at a time"),
        ("--fully_sharded", "--fully_sharded: does nothing without a mesh"),
        (f"{SOUND} --mesh=model:1 --fully_sharded", "has one device along data; use e.g."),
        ("--validation_fraction=1", "--validation_fraction=1: "),
        ("--validation_fraction=0 --budget=1epochs,early_stopping=3", "--validation_fraction=0"),
        ("--validation_fraction=0 --budget=1epochs,validation_loss<=1", "--validation_fraction=0"),
        ("--measure=hesian", "--measure=hesian: 'hesian' is none of hessian, sharpness, noise"),
        ("--measure=noise --snapshots=0", "--snapshots=0: --measure looks at kept states"),
        ("--measure_examples=-1", "--measure_examples=-1: must be at least 0"),
        ("--measure=all --optimizer=lion", "panel preconditioned: knows sgd, momentum"),
        ("--shard=3/3", "--shard=3/3: shards count from 0; of 3 the last is 2/3"),
        ("--shard=1", "--shard=1: a shard is written index/count, such as 0/16 to 15/16"),
        ("32", "'32' belongs to no flag"),
        ("--flagfile=nowhere", "--flagfile=nowhere: No such file"),
        ("--data_dir=nowhere", "--data_dir 'nowhere': "),
        (f"{SOUND} --workdir=file.txt", "file.txt/batch_size_vs_learning_rate/"),
        (f"{SOUND} --workdir=gs://b/x", "--workdir=gs://b/x/batch_size_vs_learning_rate/"),
        (f"{SOUND} --workdir=s3://b/x", 'needs s3fs: pip install "minima[s3]"'),
        (f"{SOUND} --workdir=nowhere://b", "use gs://bucket/folder or s3://bucket/folder"),
        (f"{SOUND} --workdir=gs://", "--workdir=gs://: names no folder"),
        (f"{SOUND} --branch_from=s3://b/x", "--branch_from=s3://b/x: needs s3fs"),
        (f"{SOUND} --dataset=npz:nowhere.npz", "'npz:nowhere.npz': cannot be read (No such file"),
        (f"{SOUND} --dataset=npz:.", "'npz:.': cannot be read (Is a directory)"),
        (f"{SOUND} --dataset=npz:empty.npz", "'npz:empty.npz': is empty"),
        (f"{SOUND} --dataset=npz:truncated.npz", "'npz:truncated.npz': is truncated"),
        (f"{SOUND} --dataset=npz:damaged.npz", "'npz:damaged.npz': x_train is damaged"),
        (f"{SOUND} --dataset=npz:file.txt", "'npz:file.txt': is not an npz archive"),
        (f"{SOUND} --dataset=npz:missing.npz", "'npz:missing.npz': lacks y_test"),
        (f"{SOUND} --dataset=npz:nan.npz", "x_train holds 1 values that are NaN"),
        (f"{SOUND} --dataset=npz:labels.npz", "y_test holds the label 7"),
        (f"{SOUND} --dataset=npz:negative.npz", "y_train holds the label -1"),
        (f"{SOUND} --dataset=npz:unequal.npz", "x_train has 60 examples but y_train has 59"),
        (f"{SOUND} --dataset=npz:object.npz", "never unpickled"),
        (f"{SOUND} --dataset=npz:rank.npz", "x_train has shape (60, 2, 2, 2, 2)"),
        (f"{SOUND} --dataset=npz:vectors.npz --batch_sizes=64", "more than the 48 training"),
        (f"{SOUND} --dataset=npz:vectors.npz --model=cnn", "--model=cnn: "),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    forked, script, one_line, visible, data_files, tmp_path, flags, says
):
    for path in data_files.iterdir():
        shutil.copy(path, tmp_path)
    before, compiled = sorted(os.listdir(tmp_path)), tmp_path.with_name(f"{tmp_path.name}-cache")
    result = forked(script, *flags.split(), cwd=tmp_path, cache=compiled)
    assert result.returncode in (1, 2)
    assert says in one_line(result.stderr)
    assert visible(result.stderr)
    assert sorted(os.listdir(tmp_path)) == before  # also: no pickle was executed
    # What describes the plan may compile a key or two, the training step has hundreds of kilobytes.
    assert all(path.stat().st_size < 20_000 for path in compiled.rglob("*-cache"))


class Pickled:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.fixture(scope="module")
def data_files(tmp_path_factory):
    """npz files, one sound and the others each wrong in its own way."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    inputs = random.normal(size=(60, 6)).astype(np.float32)
    sound = {
        "x_train": inputs,
        "y_train": np.arange(60) % 3,
        "x_test": inputs[:30],
        "y_test": np.arange(30) % 3,
    }
    spoiled = inputs.copy()
    spoiled[3, 2] = np.nan
    changes = {
        "vectors": {},
        "nan": {"x_train": spoiled},
        "labels": {"y_test": np.full(30, 7)},
        "negative": {"y_train": np.arange(60) % 3 - 1},
        "unequal": {"y_train": np.arange(59) % 3},
        "object": {"x_train": np.array([Pickled()] * 60, dtype=object)},
        "rank": {"x_train": np.zeros((60, 2, 2, 2, 2), np.float32)},
    }
    for name, changed in changes.items():
        np.savez(folder / f"{name}.npz", **sound | changed)
    del sound["y_test"]
    np.savez(folder / "missing.npz", **sound)
    data = (folder / "vectors.npz").read_bytes()
    (folder / "truncated.npz").write_bytes(data[: len(data) // 2])
    with zipfile.ZipFile(folder / "vectors.npz") as archive:
        start = archive.getinfo("x_train.npy").header_offset
    (folder / "damaged.npz").write_bytes(data[: start + 300] + b"\xff" * 8 + data[start + 308 :])
    (folder / "empty.npz").write_bytes(b"")
    (folder / "file.txt").write_text("no data\n")
    return folder

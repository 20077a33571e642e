"""A model fitted to a dataset, and what does not fit together refused in one line."""

import typing

import numpy as np
import pytest

from minima.runtime.errors import UserError
from minima.sweep import config, optimizers, training_config
from minima.tasks import objectives
from minima.tasks.models import ARCHITECTURES, Model, Settings
from minima.tasks.models.layers import ACTIVATIONS
from minima.tasks.task import ModelChoice, Task, make_task


def made(data, name, *arguments):
    """make_task with the model by name."""
    return make_task(data, ModelChoice(name), *arguments)


def refusal(data, choice, *arguments):
    choice = ModelChoice(choice) if isinstance(choice, str) else choice
    with pytest.raises(UserError) as caught:
        make_task(data, choice, *arguments)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    return line


def test_the_command_line_knows_every_model_and_optimiser():
    # The configuration names them itself: it is read without importing JAX.
    assert list(config.MODELS) == list(ARCHITECTURES)
    assert training_config.OPTIMIZERS == optimizers.OPTIMIZERS
    hints = typing.get_type_hints(config.TaskConfig)
    assert typing.get_args(hints["loss"]) == tuple(objectives.LOSSES)
    assert typing.get_args(hints["activation"]) == ("default", *ACTIVATIONS)


def test_make_task_fits_the_model_to_the_dataset(make_dataset):
    data = make_dataset((28, 28, 3))
    task, same = made(data, "cnn", "shift_flip", "float64")
    assert same is data
    assert task == Task(Model("cnn", task.model.settings), "image", "shift_flip")
    settings = task.model.settings
    assert (settings.input_shape, settings.num_classes) == ((28, 28, 3), 3)
    assert (settings.parameter_dtype, settings.per_position) == ("float64", False)
    assert (settings.width, settings.depth, settings.norm) == (64, 1, "none")
    assert hash(task) == hash(made(data, "cnn", "shift_flip", "float64")[0])
    assert task != made(data, "cnn", "shift", "float64")[0]


def test_cnn_small_halves_28_by_28_images(make_dataset):
    data = make_dataset((28, 28))
    task, small = made(data, "cnn_small")
    assert task.model.settings.input_shape == small.input_shape == (14, 14)
    for before, after in ((data.train, small.train), (data.test, small.test)):
        quarters = before.inputs.reshape(-1, 14, 2, 14, 2).astype(np.float64)
        np.testing.assert_allclose(after.inputs, quarters.mean(axis=(2, 4)), rtol=1e-7)
        np.testing.assert_array_equal(after.labels, before.labels)
    assert small.std < data.std


@pytest.mark.parametrize("shape", [(14, 14), (9, 11), (4, 4)])
def test_cnn_small_leaves_small_images_alone(make_dataset, shape):
    data = make_dataset(shape)
    task, same = made(data, "cnn_small")
    assert same is data
    assert task.model.settings.input_shape == shape


@pytest.mark.parametrize("model", ["cnn", "cnn_small"])
@pytest.mark.parametrize(("kind", "shape"), [("signal", (40,)), ("vector", (6,))])
def test_convolutions_refuse_what_is_not_an_image(make_dataset, model, kind, shape):
    data = make_dataset(shape, kind)
    assert refusal(data, model) == (
        f"--model={model}: reads image data, --dataset=made holds {kind}s; use --model=mlp"
    )
    assert made(data, "mlp")[0].kind == kind


@pytest.mark.parametrize("model", ["cnn", "cnn_small"])
@pytest.mark.parametrize("shape", [(2, 2), (3, 14), (14, 3), (3, 3, 3)])
def test_convolutions_refuse_images_that_pooling_would_use_up(make_dataset, model, shape):
    data = make_dataset(shape)
    assert refusal(data, model) == (
        f"--model={model}: needs images of at least 4×4 pixels, "
        f"--dataset=made holds {shape[0]}×{shape[1]}; use --model=mlp"
    )
    assert made(data, "mlp")[0].model.count_parameters() > 0


def test_one_pixel_is_enough_for_an_mlp(make_dataset):
    assert made(make_dataset((1, 1)), "mlp")[0].model.settings.input_shape == (1, 1)


def test_refuses_names_and_augmentations_that_do_not_fit(make_dataset):
    images, vectors = make_dataset((8, 8)), make_dataset((6,), "vector")
    assert refusal(images, "cmn").endswith("did you mean cnn?")
    assert refusal(vectors, "mlp", "shift").startswith("--augmentation=shift: ")
    assert "--dataset" in refusal(make_dataset((15, 15)), "cnn_small")  # 14 does not divide 15


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_defaults_are_those_of_the_architecture(make_dataset, name):
    entry = ARCHITECTURES[name]
    data = make_dataset((14, 14)) if "image" in entry.kinds else make_dataset((40,), "signal")
    settings = made(data, name)[0].model.settings
    assert (settings.width, settings.depth) == (entry.width, entry.depth)
    assert settings.norm == entry.norms[0]
    assert settings.activation == (entry.activations or ("",))[0]
    assert settings.positions
    assert (settings.kind, settings.vocabulary, settings.per_position) == (data.kind, 0, False)


def test_what_is_asked_for_comes_before_the_defaults(make_dataset):
    choice = ModelChoice("transformer", width=32, depth=3, norm="none", positions=False)
    task, _ = make_task(make_dataset((28, 28)), choice, dtype="float64")
    assert task.model.settings == Settings(
        (28, 28), "image", 3, 0, False, 32, 3, "none", False, "float64"
    )
    assert task.model.dtype == "float64"


@pytest.mark.parametrize(("names", "symbols"), [(None, 5), (tuple("abcdefg"), 7)])
def test_a_language_model_reads_the_vocabulary(make_dataset, names, symbols):
    data = make_dataset((6,), "tokens", classes=5, per_position=True, names=names)
    settings = made(data, "lstm")[0].model.settings
    assert (settings.vocabulary, settings.num_classes) == (symbols, 5)
    assert settings.per_position


READS_TEXT = [name for name, entry in ARCHITECTURES.items() if "tokens" in entry.kinds]


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in READS_TEXT])
def test_models_that_read_no_text_say_what_does(make_dataset, name):
    data = make_dataset((6,), "tokens", classes=5, per_position=True)
    line = refusal(data, name)
    assert line.startswith(f"--model={name}: reads ")
    assert line.endswith("--dataset=made holds tokens; use --model=lstm or transformer")
    for reader in READS_TEXT:
        assert made(data, reader)[0].model.settings.per_position


def test_a_classifier_is_no_language_model(make_dataset):
    signals = make_dataset((40,), "signal", per_position=True)
    assert refusal(signals, "gru_mnist1d") == (
        "--model=gru_mnist1d: is no language model, which --dataset=made asks for; "
        "use --model=lstm or transformer"
    )


@pytest.mark.parametrize("name", ["cnn1d", "gru_mnist1d"])
@pytest.mark.parametrize(("kind", "shape"), [("image", (28, 28)), ("vector", (40,))])
def test_models_of_signals_refuse_the_rest(make_dataset, name, kind, shape):
    assert refusal(make_dataset(shape, kind), name) == (
        f"--model={name}: reads signal data, --dataset=made holds {kind}s; use --model=mlp"
    )


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "transformer"])
def test_models_of_sequences_refuse_vectors(make_dataset, name):
    assert refusal(make_dataset((6,), "vector"), name) == (
        f"--model={name}: reads image or signal or tokens or graph data, --dataset=made holds "
        "vectors; use --model=mlp"
    )


@pytest.mark.parametrize(
    ("name", "norm", "has"),
    [
        ("linear", "layer", "none"),
        ("lstm", "batch", "none"),
        ("gru_mnist1d", "group", "none"),
        ("transformer", "batch", "layer, none"),
        ("cnn", "weight", "batch, ghost, group, layer, none"),
    ],
)
def test_refuses_norms_that_a_model_does_not_have(make_dataset, name, norm, has):
    data = make_dataset((40,), "signal") if name == "gru_mnist1d" else make_dataset((8, 8))
    line = refusal(data, ModelChoice(name, norm=norm))
    assert line == f"--norm={norm}: --model={name} has {has}; use one of these"


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_activations_are_for_models_that_can_choose(make_dataset, name):
    entry, choice = ARCHITECTURES[name], ModelChoice(name, activation="tanh")
    data = make_dataset((14, 14)) if "image" in entry.kinds else make_dataset((40,), "signal")
    if entry.activations:
        assert make_task(data, choice)[0].model.settings.activation == "tanh"
        return
    assert refusal(data, choice) == (
        f"--activation=tanh: --model={name} has its own; use --model=mlp, mlp_residual, cnn, "
        "cnn_small or vgg"
    )


def test_the_loss_belongs_to_the_task(make_dataset):
    data, choice = make_dataset((6,), "vector"), ModelChoice("mlp")
    squared = make_task(data, choice, loss="squared_error")[0]
    plain = make_task(data, choice)[0]
    assert (squared.loss, plain.loss) == ("squared_error", "cross_entropy")
    assert squared != plain


@pytest.mark.parametrize("width", [1, 15, 40])
def test_refuses_widths_that_heads_do_not_divide(make_dataset, width):
    data = make_dataset((8, 8))
    line = refusal(data, ModelChoice("transformer", width=width))
    assert line == f"--width={width}: --model=transformer needs a multiple of 16"
    assert make_task(data, ModelChoice("transformer", width=48))[0].model.settings.width == 48
    assert make_task(data, ModelChoice("lstm", width=width))[0].model.settings.width == width


@pytest.mark.parametrize(
    ("name", "field"), [("linear", "width"), ("linear", "depth"), ("cnn1d", "depth")]
)
def test_refuses_what_would_be_ignored(make_dataset, name, field):
    data = make_dataset((40,), "signal")
    assert refusal(data, ModelChoice(name, **{field: 2})) == (
        f"--{field}=2: --model={name} has none; use --model=mlp"
    )
    assert made(data, name)[0].model.count_parameters() > 0


@pytest.mark.parametrize(
    ("name", "side"), [("vgg", 7), ("transformer", 3), ("cnn", 3), ("cnn_small", 3)]
)
def test_refuses_images_that_leave_nothing(make_dataset, name, side):
    assert refusal(make_dataset((side, 50)), name) == (
        f"--model={name}: needs images of at least {side + 1}×{side + 1} pixels, "
        f"--dataset=made holds {side}×50; use --model=mlp"
    )
    assert made(make_dataset((side + 1, 50)), name)[0].model.count_parameters() > 0


def test_refuses_signals_that_strides_use_up(make_dataset):
    assert refusal(make_dataset((2,), "signal"), "cnn1d") == (
        "--model=cnn1d: needs signals of at least 3 samples, --dataset=made holds 2; "
        "use --model=mlp"
    )
    assert made(make_dataset((3,), "signal"), "cnn1d")[0].model.count_parameters() > 0
    assert made(make_dataset((2,), "signal"), "transformer")[0].model.count_parameters() > 0


@pytest.mark.parametrize("augmentation", ["shift", "shift_flip"])
def test_text_is_not_augmented(make_dataset, augmentation):
    data = make_dataset((6,), "tokens", classes=5, per_position=True)
    line = refusal(data, "lstm", augmentation)
    assert line.endswith("this dataset holds tokens; use --augmentation=none")

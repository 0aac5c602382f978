import dataclasses
from typing import get_args

import keras
import numpy as np
import pytest

from keras_leaky.rectifiers import TABLE
from keras_leaky.tuning import Trainer
from keras_leaky.tuning._engine.structure import structure_of
from recipes.common.data import DATASETS, load, split
from recipes.common.models import activation_layer, build_model
from recipes.common.options import resolve
from recipes.common.search_options import MnistOptions, Searched
from recipes.common.space import arms

NETS = ["mlp", "mlp8_bn", "cnn", "cnn_bn", "vgg", "vgg_bn"]
DATA = split(load(DATASETS["mnist"], "synthetic", None), 300)


@pytest.mark.parametrize("activation", TABLE)
def test_flag_names_its_rectifier(activation):
    alpha = None if activation in ("relu", "selu", "rrelu") else 0.3
    layer = activation_layer(activation, alpha, "float32")
    assert type(layer) is TABLE[activation].layer
    expected = {
        "relu": 0.0,
        "elu": 0.3 * np.expm1(-2.0),
        "celu": 0.3 * np.expm1(-2.0 / 0.3),
        "selu": 1.7580993 * np.expm1(-2.0),
        "rrelu": -2 * (1 / 8 + 1 / 3) / 2,
    }.get(activation, -0.6)
    assert float(layer(np.array([[-2.0]]))[0, 0]) == pytest.approx(expected)


def test_unknown_rectifier_is_refused():
    with pytest.raises(ValueError, match="`activation` must be one of relu, leaky_relu, "):
        activation_layer("swish", 0.1, "float32")


@pytest.mark.parametrize("activation", get_args(Searched.__annotations__["activation"]))
def test_pooling_first_changes_nothing(activation):
    """As the nets do it, with a quarter of the elements to rectify."""
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 4)).astype("float32")
    alpha = None if activation == "relu" else 0.2
    rectifier = activation_layer(activation, alpha, "float32")
    pooling = keras.layers.MaxPooling2D()
    np.testing.assert_array_equal(rectifier(pooling(x)), pooling(rectifier(x)))
    options = resolve(MnistOptions(activation=activation, precision="float32"))
    model = build_model(options, DATA, arms(options)[0], alpha, 1e-3)
    kinds = [type(layer) for layer in model.layers]
    assert kinds.index(keras.layers.MaxPooling2D) + 1 == kinds.index(type(rectifier))


def make_model(data=DATA, n_epochs=None, **settings):
    options = resolve(MnistOptions(precision="float32", **settings))
    return build_model(options, data, arms(options)[0], 0.1, 0.3, n_epochs)


@pytest.mark.parametrize(
    ("name", "n_dense", "n_convolutions", "n_norms"),
    [
        *(("mlp", 2, 0, 0), ("mlp5", 5, 0, 0), ("mlp3_bn", 3, 0, 3)),
        *(("cnn", 1, 2, 0), ("cnn3_bn", 1, 6, 7), ("vgg_bn", 0, 6, 6), ("vgg1", 0, 3, 0)),
    ],
)
def test_name_of_a_net_tells_its_depth_and_norm(name, n_dense, n_convolutions, n_norms):
    options = resolve(MnistOptions(precision="float32"))
    arm = dataclasses.replace(arms(options)[0], model=name)
    net = build_model(options, DATA, arm, 0.1, 0.3)
    assert kinds(net).count("Dense") == n_dense + 1  # the logits
    assert kinds(net).count("Conv2D") == n_convolutions
    assert kinds(net).count("BatchNormalization") == n_norms
    rectifiers = [layer.name for layer in net.layers if type(layer).__name__ == "LeakyReLU"]
    assert rectifiers == [f"rectifier_{i + 1}" for i in range(n_dense + n_convolutions)]


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize(
    ("model", "n_convolutions", "n_rectifiers"),
    [("mlp", 0, 2), ("cnn", 2, 3), ("cnn_bn", 2, 3), ("vgg", 6, 6), ("vgg_bn", 6, 6)],
)
def test_every_net_takes_raw_images_and_gives_logits(model, n_convolutions, n_rectifiers):
    net = make_model(model=model)
    assert kinds(net).count("Conv2D") == n_convolutions
    assert kinds(net).count("LeakyReLU") == n_rectifiers
    assert kinds(net).count("BatchNormalization") == (n_rectifiers if "bn" in model else 0)
    assert net.predict(DATA.x_test[:3], verbose=0).shape == (3, 10)


def test_normalization_has_forgotten_its_start_after_a_short_training():
    """With Keras's momentum of 0.99 a net of six such layers is at chance after 40 steps."""
    net = make_model(model="vgg_bn")
    layers = [layer for layer in net.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum**40 < 0.02 for layer in layers} == {True}


def test_colour_images_and_a_hundred_classes():
    data = split(load(DATASETS["cifar100"], "synthetic", None), None)
    net = make_model(data)
    assert kinds(net).count("Conv2D") == 3
    assert net.predict(data.x_test[:3], verbose=0).shape == (3, 100)


def test_vgg_nets_augment_unless_told_otherwise():
    colour = split(load(DATASETS["cifar10"], "synthetic", None), None)
    grey, both = {"RandomTranslation"}, {"RandomTranslation", "RandomFlip"}
    for data, settings, expected in (
        (DATA, {"model": "vgg"}, grey),
        (colour, {"model": "vgg"}, both),
        (colour, {"model": "vgg", "augment": "no"}, set()),
        (colour, {"model": "cnn"}, set()),
        (colour, {"model": "cnn", "augment": "yes"}, both),
    ):
        assert both & set(kinds(make_model(data, n_epochs=1, **settings))) == expected


def test_augmentation_moves_images_by_up_to_2_pixels_and_only_in_training():
    net = make_model(n_epochs=1, augment="yes")
    layer = next(layer for layer in net.layers if type(layer).__name__ == "RandomTranslation")
    x = np.random.default_rng(0).random((64, 28, 28, 1)).astype("float32")
    np.testing.assert_array_equal(layer(x, training=False), x)
    moved = np.asarray(layer(x, training=True))[:, 5:-5, 5:-5]
    shifted = {
        (i, j): np.roll(x, (i, j), (1, 2))[:, 5:-5, 5:-5]
        for i in range(-2, 3)
        for j in range(-2, 3)
    }
    found = {
        next(shift for shift, images in shifted.items() if np.array_equal(images[n], moved[n]))
        for n in range(len(x))
    }
    assert len(found) > 10


def test_a_model_to_keep_has_neither_augmentation_nor_schedule():
    net = make_model(model="vgg")
    assert not {"RandomTranslation", "RandomFlip"} & set(kinds(net))
    assert net.optimizer.get_config()["learning_rate"] == pytest.approx(0.3)
    trained = make_model(model="vgg", n_epochs=2)
    shapes = [[w.shape for w in model.weights] for model in (net, trained)]
    assert shapes[0] == shapes[1]


def test_the_schedule_spans_the_whole_training():
    schedule = make_model(n_epochs=3, batch_size=70).optimizer.get_config()["learning_rate"]
    assert schedule["config"]["learning_rate"] == 0.3
    assert schedule["config"]["shape"]["config"] == {"n_steps": 15}  # 300 images are 5 batches


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_nets_of_all_alphas_rates_and_seeds_share_a_program(net, optimizer):
    options = resolve(MnistOptions(precision="float32", optimizer=optimizer, augment="yes"))
    arm = dataclasses.replace(arms(options)[0], model=net)
    trainer = Trainer()

    def structure(alpha, rate, seed):
        model = trainer.build(lambda: build_model(options, DATA, arm, alpha, rate, 2), seed)
        return structure_of(model)

    assert structure(0.1, 0.01, 1) == structure(0.3, 0.002, 2) is not None

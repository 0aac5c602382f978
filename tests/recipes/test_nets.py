import dataclasses

import keras
import keras_tuner
import numpy as np
import pytest

from keras_leaky.rectifiers import TABLE
from keras_leaky.study.arms import Arm, ArmModel
from keras_leaky.tuning import ScaledSchedule, Trainer
from keras_leaky.tuning._engine.structure import structure_of
from recipes.nets import Net, Triangle

GREY = Net("cnn", (28, 28), 10, n_steps=5, n_epochs=2)
COLOR = Net("cnn", (32, 32, 3), 100, n_steps=5, n_epochs=2)


def build(net, activation="leaky_relu", **values):
    hp = keras_tuner.HyperParameters()
    hp.values = {"alpha": 0.1, "learning_rate": 0.3, **values}
    return ArmModel(net, Arm(activation)).build(hp)


def named(name, **changes):
    return dataclasses.replace(GREY, name=name, **changes)


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize("activation", ["relu", *(n for n, e in TABLE.items() if e.alpha_range)])
def test_pooling_first_changes_nothing(activation):
    """As the nets do it, with a quarter of the elements to rectify."""
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 4)).astype("float32")
    rectifier = TABLE[activation].make(None if activation == "relu" else 0.2)
    pooling = keras.layers.MaxPooling2D()
    np.testing.assert_array_equal(rectifier(pooling(x)), pooling(rectifier(x)))
    layers = [type(layer) for layer in build(GREY, activation).layers]
    assert layers.index(keras.layers.MaxPooling2D) + 1 == layers.index(type(rectifier))


@pytest.mark.parametrize(
    ("name", "n_dense", "n_convolutions", "n_norms"),
    [
        *(("mlp", 2, 0, 0), ("mlp5", 5, 0, 0), ("mlp3_bn", 3, 0, 3)),
        *(("cnn", 1, 2, 0), ("cnn_bn", 1, 2, 3), ("cnn3_bn", 1, 6, 7)),
        *(("vgg", 0, 6, 0), ("vgg_bn", 0, 6, 6), ("vgg1", 0, 3, 0)),
    ],
)
def test_name_of_a_net_tells_its_depth_and_norm(name, n_dense, n_convolutions, n_norms):
    net = build(named(name))
    assert kinds(net).count("Dense") == n_dense + 1  # the logits
    assert kinds(net).count("Conv2D") == n_convolutions
    assert kinds(net).count("BatchNormalization") == n_norms
    rectifiers = [layer.name for layer in net.layers if type(layer).__name__ == "LeakyReLU"]
    assert rectifiers == [f"rectifier_{i + 1}" for i in range(n_dense + n_convolutions)]


def test_nets_take_raw_images_and_give_logits():
    for net, shape in ((GREY, (3, 10)), (COLOR, (3, 100))):
        images = np.random.default_rng(0).integers(0, 256, (3, *net.image_shape), dtype="uint8")
        model = build(net)
        assert model.predict(images, verbose=0).shape == shape
        assert model.input.dtype == "uint8"
    assert kinds(build(COLOR)).count("Conv2D") == 3


def test_normalization_has_forgotten_its_start_after_a_short_training():
    """With Keras's momentum of 0.99 a net of six such layers is at chance after 40 steps."""
    layers = build(named("vgg_bn")).layers
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum**40 < 0.02 for layer in norms} == {True}


def test_only_color_images_are_flipped():
    both = {"RandomTranslation", "RandomFlip"}
    for net, expected in ((GREY, {"RandomTranslation"}), (COLOR, both)):
        assert both & set(kinds(build(net))) == set()
        assert both & set(kinds(build(dataclasses.replace(net, augment=True)))) == expected


def test_augmentation_moves_images_by_up_to_2_pixels_and_only_in_training():
    net = build(named("cnn", augment=True))
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


def test_mixed_precision_is_that_of_every_layer_but_the_logits():
    net = build(named("cnn_bn", precision="mixed_bfloat16"))
    assert {layer.compute_dtype for layer in net.layers[1:-1]} == {"bfloat16"}
    assert net.get_layer("logits").compute_dtype == "float32"


def n_steps_of(net, **values):
    schedule = build(net, **values).optimizer.get_config()["learning_rate"]["config"]
    assert schedule["learning_rate"] == 0.3
    return schedule["shape"]["config"]["n_steps"]


def test_the_schedule_spans_the_whole_training():
    assert n_steps_of(GREY) == 10
    assert n_steps_of(dataclasses.replace(GREY, optimizer="sgd", n_epochs=3)) == 15


def test_the_schedule_spans_what_hyperband_trains():
    net = dataclasses.replace(GREY, n_epochs=9)
    assert n_steps_of(net, **{"tuner/epochs": 3, "tuner/initial_epoch": 0}) == 15
    assert n_steps_of(net, **{"tuner/epochs": 9, "tuner/initial_epoch": 3}) == 30


@pytest.mark.parametrize("name", ["mlp", "mlp8_bn", "cnn", "cnn_bn", "vgg", "vgg_bn"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_nets_of_all_alphas_rates_and_seeds_share_a_program(name, optimizer):
    net, trainer = named(name, optimizer=optimizer, augment=True), Trainer()

    def structure(alpha, rate, seed):
        values = {"alpha": alpha, "learning_rate": rate}
        return structure_of(trainer.build(lambda: build(net, **values), seed))

    assert structure(0.1, 0.01, 1) == structure(0.3, 0.002, 2) is not None


def heights(n_steps):
    schedule = Triangle(n_steps)
    return [float(keras.ops.convert_to_numpy(schedule(step))) for step in range(n_steps)]


def test_rises_to_1_in_a_fifth_of_the_steps_and_falls_to_the_last():
    rates = heights(100)
    assert rates[19] == max(rates) == 1
    assert rates[:20] == pytest.approx([(i + 1) / 20 for i in range(20)])
    assert rates[19:] == pytest.approx([(81 - i) / 81 for i in range(81)])


@pytest.mark.parametrize("n_steps", [1, 2, 3, 7])
def test_short_trainings_have_a_peak_and_no_step_of_nothing(n_steps):
    rates = heights(n_steps)
    assert max(rates) == 1
    assert min(rates) > 0


def test_the_searched_rate_is_the_peak():
    schedule = ScaledSchedule(Triangle(10), 0.3)
    assert float(keras.ops.convert_to_numpy(schedule(1))) == pytest.approx(0.3)


def test_config_makes_an_equal_schedule():
    assert Triangle.from_config(Triangle(10).get_config()).n_steps == 10

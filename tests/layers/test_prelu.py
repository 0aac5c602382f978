"""PReLU: shared axes, the input spec, its alpha, and weights that move to Keras's own."""

import re

import keras
import numpy as np
import pytest

from keras_leaky.layers import PReLU


@pytest.mark.parametrize(
    ("shared_axes", "shape"),
    [
        ("spatial", (1, 1, 5)),
        ("all", (1, 1, 1)),
        (None, (3, 4, 5)),
        ([], (3, 4, 5)),
        (1, (1, 4, 5)),
        (-1, (3, 4, 1)),
        ((2, -1), (3, 1, 1)),
        ([np.int64(1), 2], (1, 1, 5)),
    ],
)
def test_shape_of_alpha(shared_axes, shape):
    layer = PReLU(shared_axes=shared_axes)
    layer.build((None, 3, 4, 5))
    assert layer.alpha.shape == shape
    assert layer.alpha.name == "alpha"


@pytest.mark.parametrize(
    ("shape", "alpha_shape"), [((2,), ()), ((2, 3), (3,)), ((2, 4, 3), (1, 3))]
)
def test_spatial_in_every_rank(shape, alpha_shape):
    layer = PReLU()
    assert layer(np.ones(shape)).shape == shape
    assert layer.alpha.shape == alpha_shape


def test_unknown_height_and_width():
    model = keras.Sequential([keras.Input((None, None, 3)), PReLU(0.5)])
    for size in (2, 5):
        np.testing.assert_array_equal(
            model(-np.ones((1, size, size, 3))), -0.5 * np.ones((1, size, size, 3))
        )


@pytest.mark.parametrize(
    ("shared_axes", "problem"),
    [
        (0, "axis 0 is the batch axis"),
        (-4, "axis -4 is the batch axis"),
        ([1, 1], "axis 1 is there twice"),
        ([1, -3], "axis -3 is there twice"),
        (4, "axis 4 is out of range for an input of 4 axes"),
        ([1, -5], "axis -5 is out of range for an input of 4 axes"),
    ],
)
def test_bad_axis_is_refused_by_name(shared_axes, problem):
    layer = PReLU(shared_axes=shared_axes, name="act")
    message = (
        "`shared_axes` of layer 'act' must name distinct axes other than batch, "
        f"but {problem}. Received: shared_axes={layer.shared_axes!r}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        layer.build((None, 3, 4, 5))


@pytest.mark.parametrize(
    "shared_axes", [1.0, True, [1, False], "channels", [None], ["all"], np.nan], ids=repr
)
def test_bad_kind_of_axes_is_refused(shared_axes):
    message = (
        '`shared_axes` of layer \'act\' must be "spatial", "all", None, an int or ints. '
        f"Received: shared_axes={shared_axes!r}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        PReLU(shared_axes=shared_axes, name="act")


def test_unshared_axis_of_unknown_size_is_refused():
    layer = PReLU(shared_axes=1, name="act")
    message = (
        "Layer 'act' needs the size of axis 2 of its input, or that axis in `shared_axes`. "
        "Received: input_shape=(None, None, None, 3), shared_axes=(1,)"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        layer.build((None, None, None, 3))


@pytest.mark.parametrize("alpha", [np.nan, np.inf, -np.inf, True, None, [0.1], 1j], ids=repr)
def test_bad_initial_alpha_is_refused(alpha):
    message = (
        "`alpha_initializer` of layer 'act' must be a finite real number or an initializer. "
        f"Received: alpha_initializer={alpha!r}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        PReLU(alpha, name="act")


def test_unknown_initializer_is_refused_by_keras():
    with pytest.raises(ValueError, match="Could not interpret initializer identifier: nonsense"):
        PReLU("nonsense")


@pytest.mark.parametrize(
    "alpha",
    [0.5, np.float32(0.5), keras.initializers.Constant(0.5)],
    ids=["float", "numpy", "Constant"],
)
def test_a_number_is_kept_as_a_constant(alpha):
    config = PReLU(alpha).get_config()["alpha_initializer"]
    assert config["class_name"] == "Constant"
    assert config["config"] == {"value": 0.5}


def test_initial_alpha_is_that_of_he():
    layer = PReLU()
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.alpha, [0.25, 0.25])


@pytest.mark.parametrize(
    ("shared_axes", "good", "bad"),
    [
        ("spatial", (2, 7, 9, 5), (2, 3, 4, 6)),
        (None, (2, 3, 4, 5), (2, 3, 1, 5)),
        (2, (2, 3, 8, 5), (2, 1, 4, 5)),
    ],
)
def test_input_spec_pins_the_axes_that_are_not_shared(shared_axes, good, bad):
    layer = PReLU(shared_axes=shared_axes)
    layer.build((None, 3, 4, 5))
    assert layer(np.ones(good)).shape == good
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layer(np.ones(bad))
    with pytest.raises(ValueError, match="expected ndim=4"):
        layer(np.ones((2, 5)))


def two_models(tmp_path):
    def make(prelu):
        return keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(5, 3), prelu])

    initializer = keras.initializers.RandomUniform(0, 1)
    ours = make(PReLU(initializer))
    theirs = make(keras.layers.PReLU(initializer, shared_axes=[1, 2]))
    return ours, theirs


@pytest.mark.parametrize("to_ours", [True, False])
@pytest.mark.parametrize("by_file", [True, False])
def test_weights_move_between_ours_and_that_of_keras(tmp_path, to_ours, by_file):
    ours, theirs = two_models(tmp_path)
    source, target = (theirs, ours) if to_ours else (ours, theirs)
    if by_file:
        source.save_weights(tmp_path / "m.weights.h5")
        target.load_weights(tmp_path / "m.weights.h5")
    else:
        target.set_weights(source.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3))
    np.testing.assert_allclose(source(x), target(x), rtol=1e-6, atol=1e-7)


def test_keras_2_config():
    zeros = {"class_name": "Zeros", "config": {}}
    layer = PReLU.from_config(
        {
            "name": "act",
            "trainable": True,
            "alpha_initializer": zeros,
            "alpha_regularizer": None,
            "alpha_constraint": None,
            "shared_axes": [1, 2],
        }
    )
    assert isinstance(layer.alpha_initializer, keras.initializers.Zeros)
    assert layer.get_config()["shared_axes"] == [1, 2]


def test_adamw_spares_alpha_once_told():
    layer = PReLU(0.5)
    layer.build((None, 2))
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["alpha"])
    optimizer.apply([keras.ops.zeros(2)], [layer.alpha])
    np.testing.assert_array_equal(layer.alpha, [0.5, 0.5])


def test_regularizer_and_constraint_act():
    layer = PReLU(-0.5, alpha_regularizer="l2", alpha_constraint="non_neg")
    layer.build((None, 2))
    np.testing.assert_allclose(layer.losses[0], 2 * 0.01 * 0.25)
    np.testing.assert_array_equal(layer.alpha.constraint(layer.alpha), [0, 0])
    assert PReLU().alpha_regularizer is None

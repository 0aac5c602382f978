"""Convolutions whose gradients are written out, against JAX's own."""

import threading

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from keras_leaky.tuning._engine.convolutions_jax import convolutions_for_loops  # noqa: E402

NHWC = jax.lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
TOLERANCES = {"float32": 1e-5, "bfloat16": 3e-2}


def convolve(x, kernel, strides=(1, 1), padding="same", **kwargs):
    """As Keras calls it."""
    given = {"rhs_dilation": (1, 1), "dimension_numbers": NHWC, "feature_group_count": 1, **kwargs}
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, **given)


def gradients(x, kernel, dy, padding):
    def product(x, kernel):
        return (convolve(x, kernel, padding=padding) * dy).astype("float32").sum()

    return jax.grad(product, (0, 1))(x, kernel)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (2, 4), (5, 3)])
def test_values_and_gradients_are_those_of_jax(size, padding, dtype):
    rng = np.random.default_rng(0)
    x = jax.numpy.asarray(rng.normal(size=(3, 7, 6, 4)), dtype)
    kernel = jax.numpy.asarray(rng.normal(size=(*size, 4, 5)), dtype)
    expected = convolve(x, kernel, padding=padding)
    dy = jax.numpy.asarray(rng.normal(size=expected.shape), dtype)
    wanted = gradients(x, kernel, dy, padding)
    with convolutions_for_loops() as seen:
        received = convolve(x, kernel, padding=padding)
        given = gradients(x, kernel, dy, padding)
    assert not seen.is_other
    for one, other in zip((received, *given), (expected, *wanted), strict=True):
        one, other = np.asarray(one, "float32"), np.asarray(other, "float32")
        scale = np.abs(other).max()
        np.testing.assert_allclose(one / scale, other / scale, atol=TOLERANCES[dtype])


@pytest.mark.parametrize(
    "change",
    [
        {"strides": (2, 2)},
        {"rhs_dilation": (2, 2)},
        {"feature_group_count": 2},
        {"padding": ((1, 1), (1, 1))},
        {"precision": "highest"},
        {"dimension_numbers": ("NCHW", "OIHW", "NCHW")},
    ],
)
def test_others_are_left_to_jax_and_told(change):
    channels = 4 // change.get("feature_group_count", 1)
    x, kernel = np.ones((2, 4, 4, 4), "float32"), np.ones((4, 4, channels, 4), "float32")
    expected = convolve(x, kernel, **change)
    with convolutions_for_loops() as seen:
        np.testing.assert_array_equal(convolve(x, kernel, **change), expected)
    assert seen.is_other


def test_other_threads_and_what_follows_see_jax_alone():
    own = jax.lax.conv_general_dilated
    x, kernel = np.ones((2, 4, 4, 4), "float32"), np.ones((3, 3, 4, 4), "float32")
    with convolutions_for_loops() as seen:
        thread = threading.Thread(target=convolve, args=(x, kernel), kwargs={"strides": (2, 2)})
        thread.start()
        thread.join()
        assert not seen.is_other
    with pytest.raises(ZeroDivisionError), convolutions_for_loops():
        raise ZeroDivisionError
    assert jax.lax.conv_general_dilated is own


def test_a_net_of_keras_is_covered():
    """Keras might call another function one day: then an epoch would be slow, and not wrong."""
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "jax":
        pytest.skip("of the JAX backend")
    model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Conv2D(4, 3, padding="same")])
    with convolutions_for_loops() as seen:
        text = str(jax.make_jaxpr(model)(np.ones((2, 6, 6, 3), "float32")))
    assert not seen.is_other
    assert "custom_vjp" in text

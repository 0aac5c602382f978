"""Ours against jax.nn and torch.nn.functional, and what JAX does to functions."""

import subprocess
import sys

import keras
import numpy as np
import pytest

if keras.backend.backend() == "tensorflow":
    pytest.skip("needs KERAS_BACKEND=jax or torch", allow_module_level=True)

from keras_leaky import layers, ops
from tests.backends.differentiate import differentiate

ON_JAX = keras.backend.backend() == "jax"
only_jax = pytest.mark.skipif(not ON_JAX, reason="about JAX")
X = np.random.default_rng(0).normal(size=(64, 7)).astype("float32") * 3


def theirs():
    """Ours, theirs, and the derivative of theirs at exactly 0."""
    if ON_JAX:
        from jax import nn

        return {
            "leaky_relu": (lambda x: ops.leaky_relu(x, 0.2), lambda x: nn.leaky_relu(x, 0.2), 1.0),
            "elu": (lambda x: ops.elu(x, 0.5), lambda x: nn.elu(x, 0.5), 0.5),
            "celu": (lambda x: ops.celu(x, 0.5), lambda x: nn.celu(x, 0.5), 1.0),
            "selu": (ops.selu, nn.selu, 1.7580993),
        }
    import torch
    from torch.nn import functional as nn

    alpha = torch.full((7,), 0.2)
    return {
        "leaky_relu": (lambda x: ops.leaky_relu(x, 0.2), lambda x: nn.leaky_relu(x, 0.2), 0.2),
        "prelu": (lambda x: ops.prelu(x, alpha), lambda x: nn.prelu(x, alpha), 0.2),
        "rrelu": (layers.RReLU(), nn.rrelu, 11 / 48),
        "elu": (lambda x: ops.elu(x, 0.5), lambda x: nn.elu(x, 0.5), 0.5),
        "celu": (lambda x: ops.celu(x, 0.5), lambda x: nn.celu(x, 0.5), 1.0),
        "selu": (ops.selu, nn.selu, 1.7580993),
    }


@pytest.mark.parametrize("name", theirs())
def test_value_and_derivative_are_theirs(name):
    ours, other, _ = theirs()[name]
    x = keras.ops.convert_to_tensor(X)
    for mine, their in zip(differentiate(ours, x)[:2], differentiate(other, x)[:2], strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(their), rtol=2e-6, atol=5e-7)


@pytest.mark.parametrize("name", theirs())
def test_derivative_at_zero_is_theirs_but_for_leaky_relu_on_jax(name):
    ours, other, at_zero = theirs()[name]
    x = keras.ops.zeros((1, 7))
    np.testing.assert_allclose(np.asarray(differentiate(other, x)[1]), at_zero, rtol=1e-6)
    mine = np.asarray(differentiate(ours, x)[1])
    is_exception = ON_JAX and name == "leaky_relu"  # there the positive side's
    np.testing.assert_allclose(mine, 0.2 if is_exception else at_zero, rtol=1e-6)


@only_jax
@pytest.mark.parametrize("name", ["leaky_relu", "elu", "celu", "selu"])
def test_jvp_hessian_and_rematerialization(name):
    import jax

    function = getattr(ops, name)
    x = jax.numpy.asarray(X[0])
    y, tangent = jax.jvp(function, (x,), (jax.numpy.ones_like(x),))
    value, first, second = differentiate(function, x)
    np.testing.assert_allclose(y, value)
    np.testing.assert_allclose(tangent, first, rtol=1e-6)
    hessian = jax.jit(jax.hessian(lambda x: function(x).sum()))(x)
    np.testing.assert_allclose(hessian, np.diag(second), rtol=1e-6, atol=1e-7)
    again = jax.grad(lambda x: jax.checkpoint(function)(x).sum())(x)
    np.testing.assert_allclose(again, first, rtol=1e-6)


@pytest.mark.parametrize("name", layers.__all__)
def test_rematerialized_layer_has_the_same_gradient(name):
    layer = getattr(layers, name)()
    layer.build(X.shape)
    x = keras.ops.convert_to_tensor(X)
    plain = differentiate(layer, x)[1]
    again = differentiate(keras.remat(layer.__call__), x)[1]
    np.testing.assert_allclose(np.asarray(again), np.asarray(plain), rtol=1e-6)


WITHOUT_TENSORFLOW = """
import sys
sys.modules["tensorflow"] = None
import numpy as np
import keras_leaky
for name in keras_leaky.layers.__all__:
    getattr(keras_leaky.layers, name)()(np.array([[-1.0, 2.0]]), training=True)
"""


def test_the_layers_do_without_tensorflow():
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

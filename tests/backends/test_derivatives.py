"""Derivatives on JAX and PyTorch: exact in half precision, and right by every way there is."""

import keras
import numpy as np
import pytest

if keras.backend.backend() == "tensorflow":
    pytest.skip("needs KERAS_BACKEND=jax or torch", allow_module_level=True)

from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU
from keras_leaky.layers.slope import variable_slopes
from tests.backends.differentiate import differentiate
from tests.layers.contract import as_float64

ON_JAX = keras.backend.backend() == "jax"
# Layer, and the scale, amplitude and width of its formula.
EXPONENTIAL = {
    "ELU(1)": (ELU, [1.0], (1.0, 1.0, 1.0)),
    "ELU(0.3)": (ELU, [0.3], (1.0, 0.3, 1.0)),
    "CELU(1)": (CELU, [1.0], (1.0, 1.0, 1.0)),
    "CELU(0.3)": (CELU, [0.3], (1.0, 0.3, 0.3)),
    "SELU": (SELU, [], (1.0507009873554805, 1.7580993408473766, 1.0)),
}
SMALLEST_NORMAL = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126}
TOLERANCE = {"float16": 0.02, "bfloat16": 0.006, "float32": 2e-5}


@pytest.mark.parametrize("name", EXPONENTIAL)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("is_variable", [False, True], ids=["constant", "variable"])
def test_derivatives_are_exact_where_they_are_normal_numbers(name, dtype, is_variable):
    cls, arguments, (scale, amplitude, width) = EXPONENTIAL[name]
    if is_variable:
        with variable_slopes():
            layer = cls(*arguments, dtype=dtype)
    else:
        layer = cls(*arguments, dtype=dtype)
    # JAX rounds subnormal numbers to 0, and width * derivative is on the way.
    smallest = 4 * SMALLEST_NORMAL[dtype]
    lowest = width * np.log(smallest / min(1, width, amplitude))
    x = np.append(np.linspace(lowest, 0, 4001), [-0.0, 1e-3, 20.0])
    x = keras.ops.convert_to_tensor(x.astype("float32"), dtype=dtype)
    _, first, second = map(as_float64, differentiate(layer, x))
    x = as_float64(x)
    exact = amplitude / width * np.exp(np.minimum(x, 0) / width)
    np.testing.assert_allclose(first, np.where(x > 0, scale, exact), rtol=TOLERANCE[dtype])
    np.testing.assert_allclose(second, np.where(x > 0, 0, exact / width), rtol=TOLERANCE[dtype])


LAYERS = {
    "LeakyReLU": lambda: LeakyReLU(0.1),
    "PReLU": lambda: PReLU(0.3),
    "ELU": lambda: ELU(0.5),
    "CELU": lambda: CELU(0.3),
    "SELU": lambda: SELU(),
    # In training it draws from a state, which PyTorch's transformations refuse, as of Dropout.
    "RReLU": lambda: RReLU(0.2, 0.2),
}


# torch.func compiles its own rules by a function that PyTorch has deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_forward_mode_jacobians_and_hessians(name):
    layer = LAYERS[name]()
    x, t = np.random.default_rng(0).normal(size=(2, 1, 9)).astype("float32")
    x[0, ::3] = 0
    layer.build(x.shape)
    x, t = map(keras.ops.convert_to_tensor, (x, t))

    def loss(x):
        return keras.ops.sum(layer(x) ** 2) / 2

    y, first, second = map(as_float64, differentiate(layer, x))
    curvature = first**2 + y * second
    if ON_JAX:
        import jax

        jvp, jacfwd, jacrev = jax.jvp, jax.jacfwd, jax.jacrev
        hessian, grad, vmap = jax.hessian, jax.grad, jax.vmap
    else:
        from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

    size = first.size
    np.testing.assert_allclose(as_float64(jvp(layer, (x,), (t,))[1]), first * as_float64(t), 1e-5)
    for jacobian in (jacfwd, jacrev):
        found = as_float64(jacobian(layer)(x)).reshape(size, size)
        np.testing.assert_allclose(found, np.diag(first[0]), rtol=1e-6)
    found = as_float64(hessian(loss)(x)).reshape(size, size)
    np.testing.assert_allclose(found, np.diag(curvature[0]), rtol=1e-5, atol=1e-6)
    found = as_float64(jvp(grad(loss), (x,), (t,))[1])
    np.testing.assert_allclose(found, curvature * as_float64(t), rtol=1e-5, atol=1e-6)
    found = as_float64(vmap(grad(lambda x: keras.ops.sum(layer(x[None]))))(x))
    np.testing.assert_allclose(found, first, rtol=1e-6)

"""LiteRT from a model on PyTorch: every rectifier in one file, by Keras and litert-torch."""

import importlib.util

import keras
import numpy as np
import pytest

# litert-torch is not in the extra `test`: it brings transformers and about thirty more packages.
if keras.backend.backend() != "torch" or importlib.util.find_spec("litert_torch") is None:
    pytest.skip("needs KERAS_BACKEND=torch and litert-torch", allow_module_level=True)

from ai_edge_litert.interpreter import Interpreter

from keras_leaky import layers
from keras_leaky.rectifiers import TABLE

SHAPE = (5, 6, 6, 2)


def every_rectifier():
    """The layers of the table as they are by default, and others whose slope counts."""
    by_default = [entry.make() for entry in TABLE.values() if not entry.is_of_keras]
    spread = keras.initializers.RandomUniform(-0.5, 1.5, seed=3)
    others = [layers.LeakyReLU(-0.5), layers.PReLU(spread), layers.ELU(0.5), layers.CELU(0.5)]
    return [*by_default, *others]


# Of PyTorch, litert-torch and what they import.
@pytest.mark.filterwarnings("default")
def test_every_rectifier(tmp_path):
    keras.utils.set_random_seed(1)
    inputs = keras.Input(SHAPE[1:])
    rectifiers = every_rectifier()
    outputs = [layer(inputs) for layer in rectifiers]
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(0, 3, SHAPE).astype("float32")
    path = str(tmp_path / "model.tflite")
    signature = [keras.InputSpec(shape=SHAPE, dtype="float32")]
    model.export(path, format="litert", input_signature=signature, verbose=False)

    interpreter = Interpreter(path)
    ((name, signature),) = interpreter.get_signature_list().items()
    runner = interpreter.get_signature_runner(name)
    with_infinities = x.copy()
    with_infinities[0, 0, 0] = np.inf, -np.inf
    for data in (x, with_infinities):
        results = runner(**{signature["inputs"][0]: data})
        expected = [keras.ops.convert_to_numpy(y) for y in model(data)]
        for i, (layer, want) in enumerate(zip(rectifiers, expected, strict=True)):
            got = results[f"output_{i}"]
            finite = np.isfinite(want)
            np.testing.assert_array_equal(got[~finite], want[~finite], err_msg=layer.name)
            atol = 4 * 2.0**-23 * np.abs(want[finite]).max()
            np.testing.assert_allclose(
                got[finite], want[finite], rtol=0, atol=atol, err_msg=layer.name
            )

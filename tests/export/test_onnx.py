"""ONNX by `model.export` on the TensorFlow backend (tf2onnx), run by onnxruntime."""

from collections import Counter

import keras
import numpy as np
import pytest

pytest.importorskip("tf2onnx", reason="tf2onnx is missing")
onnx = pytest.importorskip("onnx", reason="onnx is missing")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is missing")

# Keras's patch of tf2onnx for NumPy 2 asks for np.object.
pytestmark = pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")

# What the three places of a rectifier become. CELU with an alpha of 1 is ELU.
NODES = {
    "LeakyReLU-0.2": {"LeakyRelu": 3},
    "LeakyReLU-negative": {"LeakyRelu": 3},
    "PReLU": {"Relu": 6, "Neg": 3, "Mul": 3, "Add": 3},
    "PReLU-all": {"Relu": 6, "Neg": 3, "Mul": 3, "Add": 3},
    "ELU-1": {"Elu": 3},
    "RReLU": {"LeakyRelu": 3},
    "ops.leaky_relu": {"LeakyRelu": 3},
    "ops.elu": {"Elu": 3},
    "ops.celu": {"Elu": 3},
}
KINDS = {"Add", "Elu", "Exp", "LeakyRelu", "Max", "Min", "Mul", "Neg", "PRelu", "Relu", "Where"}


@pytest.fixture(
    params=["LeakyReLU-0.2", "PReLU-all", "ELU-1", "ELU-0.5", "CELU-0.5", "SELU", "RReLU"]
)
def layer_case(request):
    return request.param


def export(model, path):
    model.export(path, format="onnx", verbose=False)
    return onnx.load(path)


def run(path, x):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x})
    return y


def test_outputs_and_nodes(trained, tmp_path, assert_same):
    file = export(trained.model, tmp_path / "model.onnx")
    assert_same(run(tmp_path / "model.onnx", trained.x), trained.y)
    if trained.name in NODES:
        nodes = Counter(node.op_type for node in file.graph.node)
        nodes["Add"] -= nodes["MatMul"]  # the bias of Dense
        assert {kind: nodes[kind] for kind in KINDS if nodes[kind]} == NODES[trained.name]


def test_infinities(recipes, tmp_path, layer_case):
    model = keras.Sequential([keras.Input((5,)), recipes.cases[layer_case]()])
    x = np.array([[-np.inf, -2.0, 0.0, 3.0, np.inf]], "float32")
    expected = np.asarray(model(x))
    assert not np.isnan(expected).any()
    export(model, tmp_path / "model.onnx")
    np.testing.assert_allclose(run(tmp_path / "model.onnx", x), expected, rtol=1e-6, atol=1e-6)


def test_a_model_that_was_never_called_is_refused(recipes, tmp_path):
    with pytest.raises(ValueError, match="never called"):
        export(recipes.make_model("ELU-1"), tmp_path / "model.onnx")

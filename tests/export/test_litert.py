"""LiteRT (formerly TensorFlow Lite) by `model.export`, run by ai_edge_litert."""

from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is missing")

# What the three places of a rectifier become. CELU with an alpha of 1 is ELU.
OPS = {
    "LeakyReLU-0.2": {"LEAKY_RELU": 3},
    "LeakyReLU-negative": {"LEAKY_RELU": 3},
    "PReLU": {"PRELU": 3},
    "PReLU-all": {"PRELU": 3},
    "ELU-1": {"ELU": 3},
    "RReLU": {"LEAKY_RELU": 3},
    "ops.leaky_relu": {"LEAKY_RELU": 3},
    "ops.elu": {"ELU": 3},
    "ops.celu": {"ELU": 3},
}
# Of the convolutions, of Dense and Flatten, and XNNPACK, which runs parts of the graph.
OTHERS = {
    "CONV_2D",
    "FULLY_CONNECTED",
    "RESHAPE",
    "SHAPE",
    "STRIDED_SLICE",
    "PACK",
    "DELEGATE",
}


def run(path, x):
    interpreter = litert.Interpreter(str(path))
    ((_, signature),) = interpreter.get_signature_list().items()
    (inputs,) = signature["inputs"]
    results = interpreter.get_signature_runner()(**{inputs: x})
    return interpreter, results if len(results) > 1 else results.popitem()[1]


def count_ops(interpreter):
    counts = Counter(op["op_name"] for op in interpreter._get_ops_details())
    return {op: n for op, n in counts.items() if op not in OTHERS}


def test_outputs_and_fused_ops(trained, tmp_path, assert_same):
    trained.model.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    interpreter, y = run(tmp_path / "model.tflite", trained.x)
    assert_same(y, trained.y)
    # No op of LiteRT is an ELU with another alpha, CELU or SELU: those fall apart.
    if trained.name in OPS:
        assert count_ops(interpreter) == OPS[trained.name]


def test_a_model_that_never_ran(recipes, tmp_path, assert_same):
    model = recipes.make_model("PReLU")
    model.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    x = recipes.make_input()
    interpreter, y = run(tmp_path / "model.tflite", x)
    assert_same(y, model(x))
    assert count_ops(interpreter) == OPS["PReLU"]


INT8 = {"LeakyReLU-0.2": "LEAKY_RELU", "PReLU": "PRELU", "RReLU": "LEAKY_RELU"}


@pytest.mark.parametrize("name", INT8)
def test_full_integer_quantization_keeps_the_op(name, recipes, tmp_path):
    model, x = recipes.make_called_model(name), recipes.make_input()
    model.export(
        str(tmp_path / "model.tflite"),
        format="litert",
        verbose=False,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([row[None]] for row in x),
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    interpreter = litert.Interpreter(
        str(tmp_path / "model.tflite"),
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    dtypes = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    found = [op for op in interpreter._get_ops_details() if op["op_name"] == INT8[name]]
    assert len(found) == 3
    for op in found:
        assert {dtypes[i] for i in (*op["inputs"], *op["outputs"])} == {np.int8}

    (inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
    (in_scale, in_zero), (out_scale, out_zero) = inputs["quantization"], outputs["quantization"]
    interpreter.resize_tensor_input(inputs["index"], x.shape)
    interpreter.allocate_tensors()
    quantized = np.clip(np.round(x / in_scale + in_zero), -128, 127).astype("int8")
    interpreter.set_tensor(inputs["index"], quantized)
    interpreter.invoke()
    y = (interpreter.get_tensor(outputs["index"]).astype("float32") - out_zero) * out_scale
    expected = np.asarray(model(x))
    # Three layers of weights and two of activations with 256 values each.
    np.testing.assert_allclose(y, expected, rtol=0, atol=0.05 * np.ptp(expected))


def test_infinities(recipes, tmp_path):
    inputs = keras.Input((5,))
    kinds = {name: make for name, make in recipes.cases.items() if not name.startswith("ops.")}
    outputs = {name: make()(inputs) for name, make in kinds.items()}
    model = keras.Model(inputs, outputs)
    x = np.array([[-np.inf, -2.0, 0.0, 3.0, np.inf]], "float32")
    model.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    _, results = run(tmp_path / "model.tflite", x)
    for name, y in model(x).items():
        np.testing.assert_allclose(results[name], y, rtol=1e-6, atol=1e-6, err_msg=name)

"""Every rectifier behind every kind of layer, in every format: SavedModel, ONNX and LiteRT.

The kind of fault: a converter that sees more than the rectifier. Full-integer LiteRT gave the
convolution before ELU(0.5) the range of the negative side, and all positive values were lost.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_leaky.layers import CELU, ELU, SELU, LeakyReLU, PReLU, RReLU

SPREAD = keras.initializers.RandomUniform(-0.5, 1.5, seed=1)
RECTIFIERS = {
    "LeakyReLU(0.1)": lambda: LeakyReLU(0.1),
    "LeakyReLU(-0.5)": lambda: LeakyReLU(-0.5),
    "LeakyReLU(1.5)": lambda: LeakyReLU(1.5),
    "LeakyReLU(0)": lambda: LeakyReLU(0),
    "PReLU": lambda: PReLU(SPREAD),
    "ELU(1)": lambda: ELU(),
    "ELU(0.5)": lambda: ELU(0.5),
    "ELU(2)": lambda: ELU(2.0),
    "ELU(0)": lambda: ELU(0),
    "CELU(0.3)": lambda: CELU(0.3),
    "CELU(1)": lambda: CELU(),
    "CELU(2)": lambda: CELU(2.0),
    "SELU": lambda: SELU(),
    "RReLU": lambda: RReLU(),
}
L = keras.layers
BEFORE = {
    "Conv2D": lambda x: L.Conv2D(4, 3)(x),
    "DepthwiseConv2D": lambda x: L.DepthwiseConv2D(3)(x),
    "Dense": lambda x: L.Dense(4)(x),
    "BatchNormalization": lambda x: L.BatchNormalization()(x),
    "Conv2D, BatchNormalization": lambda x: L.BatchNormalization()(L.Conv2D(4, 3)(x)),
    "Add": lambda x: L.Add()([x, L.Conv2D(2, 1)(x)]),
    "nothing": lambda x: x,
}
OFTEN = [("CELU(0.3)", "Conv2D"), ("SELU", "Dense"), ("ELU(0.5)", "Add"), ("ELU(2)", "nothing")]
SHAPE = (6, 6, 2)


def make_model(rectifier, before):
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, RECTIFIERS[rectifier]()(BEFORE[before](inputs)))
    rng = np.random.default_rng(1)
    for variable in model.weights:
        if variable.name != "alpha":
            is_scale = variable.name in ("gamma", "moving_variance")
            variable.assign(rng.uniform(0.3 if is_scale else -0.6, 0.8, variable.shape))
    return model


def run_litert(model, x, path, **options):
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is missing")
    model.export(str(path / "m.tflite"), format="litert", verbose=False, **options)
    interpreter = litert.Interpreter(
        str(path / "m.tflite"),
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    (inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(inputs["index"], x.shape)
    interpreter.allocate_tensors()
    if inputs["dtype"] == np.int8:
        scale, zero = inputs["quantization"]
        x = np.clip(np.round(x / scale + zero), -128, 127).astype("int8")
        # Everything is an integer, but for ELU itself, which the converter leaves in float32.
        kinds = {op["op_name"] for op in interpreter._get_ops_details()}
        assert "ELU" in kinds or "DEQUANTIZE" not in kinds
    interpreter.set_tensor(inputs["index"], x)
    interpreter.invoke()
    y = interpreter.get_tensor(outputs["index"]).astype("float32")
    if outputs["dtype"] == np.int8:
        scale, zero = outputs["quantization"]
        y = (y - zero) * scale
    return y


def run_int8(model, x, path):
    return run_litert(
        model,
        x,
        path,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([row[None]] for row in x),
        target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]},
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )


def run_float16(model, x, path):
    options = {"target_spec": {"supported_types": [tf.float16]}}
    return run_litert(model, x, path, optimizations=[tf.lite.Optimize.DEFAULT], **options)


def run_dynamic_range(model, x, path):
    return run_litert(model, x, path, optimizations=[tf.lite.Optimize.DEFAULT])


def run_onnx(model, x, path):
    pytest.importorskip("tf2onnx", reason="tf2onnx is missing")
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is missing")
    model.export(path / "m.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path / "m.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x})
    return y


def run_saved_model(model, x, path):
    model.export(path / "m", verbose=False)
    artifact = tf.saved_model.load(path / "m")
    return artifact.serve(x).numpy()


# How far the output may be off, as a fraction of its range.
FORMATS = {
    "int8": (run_int8, 0.05),
    "float16": (run_float16, 0.01),
    "dynamic range": (run_dynamic_range, 0.05),
    "float32": (run_litert, 1e-5),
    "ONNX": (run_onnx, 1e-5),
    "SavedModel": (run_saved_model, 1e-5),
}
CASES = [
    pytest.param(
        *(rectifier, before, form),
        marks=[] if form == "int8" and (rectifier, before) in OFTEN else pytest.mark.soak,
    )
    for rectifier in RECTIFIERS
    for before in BEFORE
    for form in FORMATS
]


# Keras's patch of tf2onnx for NumPy 2 asks for np.object.
@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")
@pytest.mark.parametrize(("rectifier", "before", "form"), CASES)
def test_outputs(rectifier, before, form, tmp_path):
    run, tolerance = FORMATS[form]
    model = make_model(rectifier, before)
    x = np.random.default_rng(0).normal(0, 2, size=(32, *SHAPE)).astype("float32")
    expected = np.asarray(model(x))
    y = run(model, x, tmp_path)
    np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance * np.ptp(expected))

"""SavedModel by `model.export`: loading it needs TensorFlow and nothing else."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2


def functions_of(path):
    """Every function in the file, called or not."""
    file = saved_model_pb2.SavedModel()
    file.ParseFromString((path / "saved_model.pb").read_bytes())
    (graph,) = file.meta_graphs
    return graph.graph_def.library.function


def kinds_of_nodes(path):
    return {node.op for function in functions_of(path) for node in function.node_def}


def test_export_after_training_holds_no_compiled_function(trained, tmp_path, recipes):
    trained.model.export(tmp_path / "trained", verbose=False)
    compiled = [f for f in functions_of(tmp_path / "trained") if f.attr["_XlaMustCompile"].b]
    assert not compiled
    # Nor anything else that a model which never ran does not have.
    recipes.make_model(trained.name).export(tmp_path / "fresh", verbose=False)
    assert kinds_of_nodes(tmp_path / "trained") == kinds_of_nodes(tmp_path / "fresh")


def test_compiled_functions_are_seen(tmp_path):
    module = tf.Module()
    module.f = tf.function(
        tf.function(tf.exp, jit_compile=True), input_signature=[tf.TensorSpec(3)]
    )
    tf.saved_model.save(module, tmp_path)
    assert [f for f in functions_of(tmp_path) if f.attr["_XlaMustCompile"].b]


SERVE = """
import pathlib, sys
import tensorflow as tf
import numpy as np
for folder in pathlib.Path(sys.argv[1]).iterdir():
    model = tf.saved_model.load(folder / "saved")
    np.save(folder / "y.npy", model.serve(np.load(folder / "x.npy")))
assert not [module for module in sys.modules if module.startswith("keras_leaky")]
"""


def test_serves_in_a_process_without_the_pack(recipes, tmp_path, assert_same):
    outputs = {}
    for name in recipes.cases:
        model, x = recipes.make_called_model(name), recipes.make_input()
        model.export(tmp_path / name / "saved", verbose=False)
        np.save(tmp_path / name / "x.npy", x)
        outputs[name] = np.asarray(model(x))
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, y in outputs.items():
        assert_same(np.load(tmp_path / name / "y.npy"), y)


@pytest.mark.parametrize(
    "policy",
    [
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("float64", "mixed_float16")),
        "mixed_bfloat16",
    ],
)
def test_dtypes_survive(policy, recipes, tmp_path, assert_same):
    x = recipes.make_input()
    with_policy = keras.config.dtype_policy().name
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input(x.shape[1:])
        outputs = {name: recipes.apply(make, inputs) for name, make in recipes.cases.items()}
        model = recipes.disturb(keras.Model(inputs, outputs))
    finally:
        keras.config.set_dtype_policy(with_policy)
    expected = model(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")(x)
    model.export(tmp_path / "saved", verbose=False)
    artifact = tf.saved_model.load(tmp_path / "saved")
    served = artifact.serve(tf.cast(x, inputs.dtype))
    dtype = policy.removeprefix("mixed_")
    for name, y in expected.items():
        assert y.dtype == loaded[name].dtype == served[name].dtype == dtype
        np.testing.assert_array_equal(loaded[name], y)
        assert_same(served[name], y, dtype)

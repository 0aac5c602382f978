"""Makes the files in `keras2/`: models as Keras 2 saved them, and what Keras 2 computed with them.

Runs with Keras 2 alone, in an environment for each version (uv or pip, pyenv for the old Pythons):

    python3.6   keras==2.0.5 tensorflow==1.14.0 h5py<3 numpy<1.17 protobuf<3.20   # alpha an array
    python3.6   keras==2.2.4 (the others as above)                                # no InputLayer
    python3.8   tensorflow-cpu==2.4.4 protobuf<3.20                               # activation dicts
    python3.11  tensorflow-cpu==2.12.1                                            # HDF5 as .keras
    python3.11  tf_keras==2.21.0 tensorflow-cpu==2.21.0                           # the last Keras 2

    python make_keras2_files.py keras                # for the Keras of that name
    python make_keras2_files.py tensorflow.keras     # TensorFlow 2.4
    python make_keras2_files.py tf_keras

A file `2.0.5-sequential.h5.gz` is what `model.save` wrote, compressed; `2.0.5-sequential.h5.npz`
holds inputs `x` and what `model.predict` made of them, `y`.
"""

import gzip
import importlib
import os
import sys

import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keras2")
keras = importlib.import_module(sys.argv[1])
layers = keras.layers
VERSION = keras.__version__.split("-")[0]


def sequential():
    return keras.models.Sequential(
        [
            layers.Conv2D(2, 2, input_shape=(5, 5, 1), name="conv"),
            layers.LeakyReLU(0.3, name="leaky"),
            layers.Conv2D(2, 2, name="conv_2"),
            layers.PReLU(shared_axes=[1, 2], name="prelu"),
            layers.Flatten(name="flatten"),
            layers.Dense(4, name="dense"),
            layers.ELU(0.5, name="elu"),
            layers.Dense(4, name="dense_2"),
            layers.ThresholdedReLU(0.3, name="thresholded"),
        ]
    )


def functional():
    """With a model as a layer, called twice."""
    inner = keras.models.Sequential(
        [layers.Dense(4, input_shape=(4,), name="dense"), layers.LeakyReLU(0.3, name="leaky")],
        name="inner",
    )
    x = layers.Input((4,), name="x")
    prelu = layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25), name="prelu")
    y = layers.add([inner(inner(x)), prelu(x)], name="add")
    y = layers.ELU(0.5, name="elu")(layers.Dense(4, name="dense_2")(y))
    return keras.models.Model(x, layers.ThresholdedReLU(0.3, name="thresholded")(y))


def activation():
    """What Keras could save from 2.4 on."""
    return keras.models.Sequential(
        [
            layers.TimeDistributed(layers.LeakyReLU(0.2), input_shape=(2, 4), name="distributed"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, activation=layers.LeakyReLU(0.3), name="leaky"),
            layers.Dense(3, activation=layers.ELU(0.5), name="elu"),
            layers.Dense(3, activation=layers.PReLU(), name="prelu"),
            layers.Dense(8, activation=layers.ThresholdedReLU(0.3), name="thresholded"),
            layers.Dense(4, name="dense"),
            layers.Activation(layers.LeakyReLU(0.25), name="activation"),
        ]
    )


def generator():
    """Arguments that Keras 3 dropped or takes in another form."""
    return keras.models.Sequential(
        [
            layers.Dense(8, input_shape=(4,), name="dense"),
            layers.Reshape((2, 2, 2), name="reshape"),
            layers.Conv2DTranspose(2, 2, name="conv_transpose"),
            layers.BatchNormalization(name="batch_normalization"),
            layers.LeakyReLU(0.2, name="leaky"),
            layers.Reshape((3, 6), name="sequence"),
            layers.LSTM(2, name="lstm"),
        ]
    )


def compiled():
    model = keras.models.Sequential(
        [layers.Dense(3, input_shape=(4,), name="dense"), layers.LeakyReLU(-0.5, name="leaky")]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def save(make, suffix):
    keras.backend.clear_session()
    model = make()
    random = np.random.RandomState(0)
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights([random.normal(size=shape).astype("float32") for shape in shapes])
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):  # no negative variance
            layer.set_weights([abs(value) for value in layer.get_weights()])
    x = random.normal(size=(5, *model.input_shape[1:])).astype("float32")
    path = os.path.join(HERE, VERSION + "-" + make.__name__ + suffix)
    model.save(path)
    np.savez_compressed(path + ".npz", x=x, y=model.predict(x))
    with open(path, "rb") as file, gzip.GzipFile(path + ".gz", "wb", mtime=0) as compressed:
        compressed.write(file.read())
    os.remove(path)


FILES = {
    "2.0.5": [(sequential, ".h5"), (functional, ".h5"), (compiled, ".h5")],
    "2.2.4": [(sequential, ".h5"), (functional, ".h5"), (compiled, ".h5")],
    "2.4.0": [(functional, ".h5"), (activation, ".h5"), (generator, ".h5"), (compiled, ".h5")],
    "2.12.0": [(functional, ".keras")],
    "2.21.0": [
        (sequential, ".keras"),
        (functional, ".keras"),
        (activation, ".keras"),
        (activation, ".h5"),
        (generator, ".keras"),
        (compiled, ".keras"),
        (compiled, ".h5"),
    ],
}

for make, suffix in FILES[VERSION]:
    save(make, suffix)

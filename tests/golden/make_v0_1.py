"""Makes `v0_1/`: one model with every layer and function of version 0.1, in each file format,
compressed, and an input with what it made of it.

Run once, with Python 3.11, TensorFlow 2.21.0 and Keras 3.15.1 on a CPU:

    python tests/golden/make_v0_1.py

Files that are released are never made again: `tests/export/test_golden.py` keeps loading them.
"""

import gzip
from pathlib import Path

import keras
import numpy as np

from keras_leaky import layers, ops
from keras_leaky.initializers import RectifierNormal, RectifierUniform

FOLDER = Path(__file__).with_name("v0_1")


def make_model():
    """A chain, so that the output depends on every layer."""
    spreads = [keras.initializers.RandomUniform(-0.5, 1.5, seed=seed) for seed in (3, 4)]
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(3, 3, kernel_initializer=RectifierNormal("elu", 0.5, seed=1)),
            layers.LeakyReLU(0.2, name="leaky"),
            layers.PReLU(spreads[0], name="prelu"),
            layers.PReLU(
                "ones",
                alpha_regularizer=keras.regularizers.L2(0.01),
                alpha_constraint=keras.constraints.NonNeg(),
                shared_axes=[1, -1],
                name="prelu_axes",
            ),
            layers.PReLU(0.5, shared_axes=None, name="prelu_elements"),
            layers.PReLU(-0.5, shared_axes="all", name="prelu_all"),
            layers.ELU(0.5, name="elu"),
            layers.CELU(2.0, name="celu"),
            layers.SELU(name="selu", dtype="float32"),
            layers.RReLU(0.1, 0.4, seed=7, name="rrelu"),
            keras.layers.Conv2D(3, 2, activation=layers.PReLU(spreads[1]), name="conv_prelu"),
            keras.layers.Flatten(),
            keras.layers.Dense(
                4,
                activation=layers.LeakyReLU(-0.5),
                kernel_initializer=RectifierUniform("leaky_relu", 0.1, mode="fan_out", seed=2),
                name="dense_leaky",
            ),
            keras.layers.Dense(4, activation=ops.leaky_relu, name="dense_leaky_relu"),
            keras.layers.Dense(4, activation=ops.elu, name="dense_elu"),
            keras.layers.Dense(4, activation=ops.celu, name="dense_celu"),
            keras.layers.Dense(4, activation=ops.selu, name="dense_selu"),
        ],
        name="v0_1",
    )


def main():
    FOLDER.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    model = make_model()
    x = rng.normal(0, 2, (5, 6, 6, 2)).astype("float32")
    model(x)  # builds the PReLU of conv_prelu
    for variable in model.weights:
        variable.assign(variable + rng.uniform(-0.3, 0.3, variable.shape))
    model.save(FOLDER / "model.keras")
    model.save(FOLDER / "model.h5", include_optimizer=False)
    model.save_weights(FOLDER / "model.weights.h5")
    for path in FOLDER.glob("model.*"):  # HDF5 is mostly empty
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()
    np.savez_compressed(FOLDER / "arrays.npz", x=x, y=np.asarray(model(x)))


if __name__ == "__main__":
    main()

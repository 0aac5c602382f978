"""Makes the files in `keras2_zoo/`: small nets with leaky rectifiers, by the last Keras 2.

    pip install --no-deps tf_keras==2.21.0    # beside TensorFlow 2.21
    python make_keras2_zoo.py [names]

A file `eegnet.h5.gz` is what `model.save` wrote, compressed; `eegnet.npz` holds the inputs `x0`,
`x1`, ... and the outputs `y0`, `y1`, ... that tf_keras computed.
"""

import gzip
import os
import sys

import numpy as np
import tf_keras as keras

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keras2_zoo")
layers = keras.layers


def eegnet():
    """Lawhern et al., EEGNet: 4 channels, 32 samples."""
    norm = keras.constraints.max_norm
    return keras.Sequential(
        [
            layers.Input((4, 32, 1)),
            layers.Conv2D(2, (1, 8), padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(
                (4, 1), depth_multiplier=2, use_bias=False, depthwise_constraint=norm(1.0)
            ),
            layers.BatchNormalization(),
            layers.ELU(0.5),
            layers.AveragePooling2D((1, 4)),
            layers.SpatialDropout2D(0.25),
            layers.SeparableConv2D(4, (1, 4), padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("elu"),
            layers.AveragePooling2D((1, 4)),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", kernel_constraint=norm(0.25)),
        ]
    )


def mobilefacenet():
    """Chen et al., MobileFaceNets: bottlenecks with PReLU, then a depthwise kernel over all."""

    def conv(x, n, size, strides=1):
        x = layers.Conv2D(n, size, strides, padding="same", use_bias=False)(x)
        return layers.PReLU("random_normal", shared_axes=[1, 2])(layers.BatchNormalization()(x))

    def bottleneck(x):
        y = conv(x, 6, 1)
        y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
        y = layers.PReLU("random_normal", shared_axes=[1, 2])(layers.BatchNormalization()(y))
        y = layers.Conv2D(4, 1, use_bias=False)(y)
        return layers.add([x, layers.BatchNormalization()(y)])

    x = layers.Input((12, 12, 3))
    y = conv(layers.Rescaling(0.5, offset=0.1)(x), 4, 3, 2)
    y = bottleneck(bottleneck(y))
    y = layers.DepthwiseConv2D(6, depthwise_regularizer="l2")(y)
    return keras.Model(x, layers.UnitNormalization()(layers.Dense(5)(layers.Flatten()(y))))


def xception():
    """Chollet, Xception: separable convolutions around a shortcut; here leaky."""
    x = layers.Input((12, 12, 3))
    y = layers.Conv2D(4, 3, activation=layers.LeakyReLU(0.1))(x)
    shortcut = layers.BatchNormalization()(layers.Conv2D(6, 1, strides=2, padding="same")(y))
    for slope in (0.2, 0.3):
        y = layers.SeparableConv2D(6, 3, padding="same", use_bias=False)(layers.LeakyReLU(slope)(y))
        y = layers.BatchNormalization()(y)
    y = layers.add([layers.MaxPooling2D(3, strides=2, padding="same")(y), shortcut])
    y = layers.SeparableConv2D(3, 3, activation=layers.PReLU("random_normal", shared_axes=[1, 2]))(
        y
    )
    return keras.Model(x, layers.Dense(2, "sigmoid")(layers.GlobalAveragePooling2D()(y)))


def mixed_precision():
    """With the policy of mixed_bfloat16, which Keras 2 wrote into every layer."""
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = keras.Sequential(
            [
                layers.Input((8, 8, 2)),
                layers.Conv2D(4, 3),
                layers.LeakyReLU(0.1),
                layers.SeparableConv2D(4, 3, activation=layers.ELU(0.5)),
                layers.PReLU("random_normal", shared_axes=[1, 2]),
                layers.Flatten(),
                layers.Dense(4, activation="hard_sigmoid"),
                layers.Dense(3, dtype="float32"),
            ]
        )
        model.compile("adam", "mse")
    finally:
        keras.mixed_precision.set_global_policy("float32")
    return model


def recurrent():
    """With the gates of older files: `hard_sigmoid`, and the GRU of Keras 2.0."""
    x = layers.Input((5, 4))
    gates = {"recurrent_activation": "hard_sigmoid", "return_sequences": True}
    y = layers.Masking()(x)
    y = layers.Bidirectional(layers.LSTM(3, **gates))(y)
    y = layers.LeakyReLU(0.2)(layers.GRU(4, reset_after=False, **gates)(y))
    y = layers.RNN([layers.GRUCell(3, recurrent_activation="hard_sigmoid"), layers.LSTMCell(4)],
                   return_sequences=True)(y)  # fmt: skip
    y = layers.SpatialDropout1D(0.5)(y)
    y = layers.TimeDistributed(layers.Dense(3, activation="hard_sigmoid"))(y)
    return keras.Model(x, layers.PReLU("random_normal")(layers.GRU(4)(y)))


def video():
    """ConvLSTM2D, whose gates were hard sigmoids by default."""
    return keras.Sequential(
        [
            layers.Input((3, 6, 6, 1)),
            layers.ConvLSTM2D(2, 3, return_sequences=True),
            layers.TimeDistributed(layers.LeakyReLU(0.2)),
            layers.ConvLSTM2D(2, 2, activation="elu"),
            layers.PReLU("random_normal"),
            layers.SpatialDropout2D(0.5),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


def hard_sigmoids():
    """The function in every kind of place that names one."""
    x = layers.Input((6, 6, 2), name="image")
    y = [
        layer(x)
        for layer in (
            layers.Activation("hard_sigmoid", name="hard_sigmoid"),  # a name is no function
            layers.Dense(2, activation="hard_sigmoid"),
            layers.Conv2D(2, 2, activation="hard_sigmoid"),
            layers.Conv2DTranspose(2, 2, activation="hard_sigmoid"),
            layers.DepthwiseConv2D(2, activation="hard_sigmoid"),
            layers.SeparableConv2D(2, 2, activation="hard_sigmoid"),
            layers.EinsumDense("abcd,de->abce", (None, None, 2), activation="hard_sigmoid"),
            layers.TimeDistributed(layers.Activation("hard_sigmoid")),
            layers.ConvLSTM1D(2, 2, activation="hard_sigmoid"),
            keras.Sequential([layers.Input((6, 6, 2)), layers.Activation("hard_sigmoid")]),
        )
    ]
    s = layers.Reshape((6, 12))(x)
    y += [
        layer(s)
        for layer in (
            layers.SimpleRNN(2, activation="hard_sigmoid"),
            layers.LSTM(2, activation="hard_sigmoid", recurrent_activation="hard_sigmoid"),
            layers.GRU(2, recurrent_activation="hard_sigmoid"),
            layers.RNN(layers.LSTMCell(2, recurrent_activation="hard_sigmoid")),
            layers.Bidirectional(layers.GRU(2, recurrent_activation="hard_sigmoid")),
        )
    ]
    return keras.Model(x, y)


def axes():
    """Lists of axes, and texts that are names of functions too."""
    x = layers.Input((4, 6), name="x")
    layer = layers.LayerNormalization(axis=[1, 2])
    y = [
        layers.Softmax([1, 2])(x),
        layers.UnitNormalization([1, 2])(x),
        layers.TimeDistributed(layers.Softmax())(x),
        layers.LeakyReLU(0.1)(layer(x)),
        layers.Attention()([x, x]),
        layers.MultiHeadAttention(2, 3)(x, x),
    ]
    return keras.Model(x, y)


def translation():
    """An encoder and a decoder: initial states, and attention to another sequence."""
    x, y = layers.Input((5, 4), name="x"), layers.Input((3, 4), name="y")
    gates = {"recurrent_activation": "hard_sigmoid"}
    encoded, *states = layers.LSTM(4, return_sequences=True, return_state=True, **gates)(x)
    decoded = layers.LSTM(4, return_sequences=True, **gates)(y, initial_state=states)
    decoded = layers.GRU(4, return_sequences=True)(decoded, initial_state=states[0])
    attended = layers.MultiHeadAttention(2, 3)(decoded, value=encoded, key=encoded)
    return keras.Model([x, y], layers.LeakyReLU(0.2)(layers.Dense(3)(attended)))


def frozen():
    """Frozen layers that hold layers, in a model in the model."""
    inner = keras.Sequential(
        [
            layers.Input((4,)),
            layers.BatchNormalization(trainable=False),
            layers.Dense(4),
            layers.Activation(layers.PReLU("random_normal"), trainable=False),
            layers.BatchNormalization(),
            layers.Activation(layers.PReLU("random_normal")),
        ]
    )
    return keras.Sequential([layers.Input((4,)), inner, layers.Dense(3)])


def save(make):
    keras.backend.clear_session()
    model = make()
    random = np.random.default_rng(0)
    model.set_weights(
        [
            (abs(w) if "variance" in v.name else w).astype(v.dtype.as_numpy_dtype)
            for v, w in ((v, random.normal(size=v.shape)) for v in model.weights)
        ]
    )
    x = [random.normal(size=(3, *shape[1:])).astype("float32") for shape in
         (i.shape for i in model.inputs)]  # fmt: skip
    if make is recurrent:
        x[0][0, 3:] = 0
    y = model(x if len(x) > 1 else x[0])
    y = y if isinstance(y, list) else [y]
    arrays = {f"x{i}": a for i, a in enumerate(x)} | {f"y{i}": np.array(a) for i, a in enumerate(y)}
    np.savez_compressed(os.path.join(HERE, make.__name__ + ".npz"), **arrays)
    for suffix in (".h5", ".keras"):
        path = os.path.join(HERE, make.__name__ + suffix)
        model.save(path)
        with open(path, "rb") as file, gzip.GzipFile(path + ".gz", "wb", mtime=0) as compressed:
            compressed.write(file.read())
        os.remove(path)


NETS = (
    eegnet, mobilefacenet, xception, mixed_precision, recurrent, video, hard_sigmoids, axes, frozen,
    translation,
)  # fmt: skip

if __name__ == "__main__":
    for make in NETS:
        if len(sys.argv) < 2 or make.__name__ in sys.argv[1:]:
            save(make)

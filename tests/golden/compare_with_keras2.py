# ruff: noqa: E501, E731, RUF021
"""Compares `keras_leaky.load_model` with tf_keras, the last Keras 2, class by class.

Every layer of tf_keras that Keras 3 has is built with its defaults, and then with each constructor
argument at other values; every activation in every place that takes one. tf_keras saves the
model as .h5 and as .keras and computes an output. `load_model` must compute the same from the file,
or refuse the file.

    pip install --no-deps tf_keras==2.21.0    # beside the TensorFlow of the same version
    export PYTHONPATH=.    # this checkout
    python tests/golden/compare_with_keras2.py            # the cases that do not come out equal
    python tests/golden/compare_with_keras2.py LSTM GRU   # of these classes alone
"""

import os
import sys
import tempfile
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import absl.logging
import numpy as np
import tensorflow as tf
import tf_keras

import keras_leaky

layers = tf_keras.layers
LINE, SEQUENCE = (7,), (6, 4)
IMAGE, VOLUME, CLIP = (8, 6, 4), (6, 5, 4, 3), (3, 6, 6, 2)
SPATIAL = {"1D": (8, 4), "2D": IMAGE, "3D": VOLUME}


ACTIVATIONS = (
    "linear", "relu", "elu", "selu", "softplus", "softsign", "swish", "gelu", "tanh", "sigmoid",
    "exponential", "hard_sigmoid", "mish", "softmax",
)  # fmt: skip
ACTIVATION_LAYERS = {
    "LeakyReLU": lambda: layers.LeakyReLU(0.2),
    "PReLU": lambda: layers.PReLU("random_normal"),
    "ELU": lambda: layers.ELU(0.5),
    "ReLU": lambda: layers.ReLU(3.0, 0.1, 0.2),
    "Softmax": lambda: layers.Softmax(-1),
    "ThresholdedReLU": lambda: layers.ThresholdedReLU(0.3),
}
INITIALIZERS = {"kernel_initializer": ["he_normal", "orthogonal"], "bias_initializer": ["ones"]}
REGULARIZERS = {
    "kernel_regularizer": ["l2", tf_keras.regularizers.L1L2(0.1, 0.1)],
    "activity_regularizer": ["l1"],
    "kernel_constraint": ["non_neg", tf_keras.constraints.MaxNorm(2)],
    "bias_constraint": ["non_neg"],
}
COMMON = {"activation": ["relu", "hard_sigmoid"], "use_bias": [False], **INITIALIZERS}
ANY = {
    "trainable": [False],
    "dtype": ["float64", tf_keras.mixed_precision.Policy("mixed_bfloat16"), "mixed_float16"],
}
RECURRENT = {
    **COMMON,
    "return_sequences": [True],
    "go_backwards": [True],
    "stateful": [False],
    "unroll": [True],
    "recurrent_initializer": ["glorot_uniform"],
    "recurrent_regularizer": ["l2"],
    "recurrent_constraint": ["non_neg"],
    "dropout": [0.5],
    "recurrent_dropout": [0.5],
    "time_major": [False, True],
    **REGULARIZERS,
}
GATED = {"recurrent_activation": ["hard_sigmoid", "relu"], "implementation": [1]}
CONVOLUTION = {
    "padding": ["same"],
    "strides": [2],
    "dilation_rate": [2],
    "data_format": ["channels_first"],
    **COMMON,
    **REGULARIZERS,
}
DEPTHWISE = {
    "depth_multiplier": [2],
    "depthwise_initializer": ["he_normal"],
    "depthwise_regularizer": ["l2"],
    "depthwise_constraint": ["non_neg"],
}
POINTWISE = {
    "pointwise_initializer": ["he_normal"],
    "pointwise_regularizer": ["l2"],
    "pointwise_constraint": ["non_neg"],
}


def of_each_size(name, first, values, sizes=("1D", "2D", "3D")):
    """Cases of `name1D` to `name3D`: `(class, positional arguments, shapes, values)`."""
    for size in sizes:
        n = int(size[0])
        own = {key: list(value) for key, value in values.items()}
        if not hasattr(layers, name.format(size)):
            continue
        if n == 1 and "Conv" in name and "Transpose" not in name and "LSTM" not in name:
            own["padding"] = ["same", "causal"] if "Depth" not in name else ["same"]
        yield name.format(size), first, [SPATIAL[size]], own


def cases():
    """`(class name, positional arguments, input shapes, values of arguments)`."""
    yield from of_each_size("Conv{}", (6, 2), {**CONVOLUTION, "groups": [2], "filters": []})
    yield "Conv3D", (3, 2), [(6, 5, 4, 2)], {"groups": []}
    yield from of_each_size(
        "Conv{}Transpose", (3, 2), {**CONVOLUTION, "kernel_size": [3], "strides": [2, 3]}
    )
    for size in SPATIAL:
        yield (
            f"Conv{size}Transpose", (3, 3), [SPATIAL[size]],
            [{"strides": 2, "output_padding": p, "padding": pad} for p in (0, 1)
             for pad in ("same", "valid")]
            + [{"strides": s, "padding": pad, "kernel_size": k} for s in (2, 3)
               for k in (1, 2, 4) for pad in ("same", "valid")],
        )  # fmt: skip
    separable = {**CONVOLUTION, **DEPTHWISE, **POINTWISE}
    separable = {k: v for k, v in separable.items() if not k.startswith("kernel_")}
    yield from of_each_size("SeparableConv{}", (5, 2), separable)
    yield from of_each_size(
        "DepthwiseConv{}", (2,),
        {k: v for k, v in {**CONVOLUTION, **DEPTHWISE}.items() if not k.startswith("kernel_")},
    )  # fmt: skip
    for size, shape in [("1D", (3, 6, 2)), ("2D", CLIP), ("3D", (3, 5, 5, 4, 2))]:
        values = {**RECURRENT, **CONVOLUTION, **GATED, "time_major": [False]}
        values = {k: v for k, v in values.items() if k not in ("unroll", "implementation")}
        yield f"ConvLSTM{size}", (2, 2), [shape], values
    pooling = {"strides": [1, 3], "padding": ["same"], "data_format": ["channels_first"]}
    pooling["pool_size"] = [3]
    yield from of_each_size("AveragePooling{}", (), pooling)
    yield from of_each_size("MaxPooling{}", (), pooling)
    over_all = {"data_format": ["channels_first"], "keepdims": [True]}
    yield from of_each_size("GlobalAveragePooling{}", (), over_all)
    yield from of_each_size("GlobalMaxPooling{}", (), over_all)
    yield from of_each_size("Cropping{}", (), {"cropping": [2]}, ["1D", "2D"])
    yield "Cropping3D", (), [VOLUME], {"cropping": [1, ((1, 2), (0, 1), (1, 1))]}
    yield (
        "Cropping2D",
        (),
        [IMAGE],
        {"cropping": [((1, 2), (0, 1))], "data_format": ["channels_first"]},
    )
    yield from of_each_size("ZeroPadding{}", (), {"padding": [2]})
    yield "ZeroPadding2D", (), [IMAGE], {
        "padding": [((1, 2), (0, 1)), (1, 3)], "data_format": ["channels_first"],
    }  # fmt: skip
    yield from of_each_size("UpSampling{}", (), {"size": [3]})
    yield "UpSampling2D", (), [IMAGE], {
        "size": [(2, 3)], "data_format": ["channels_first"],
        "interpolation": ["nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5",
                          "gaussian", "mitchellcubic"],
    }  # fmt: skip
    yield "UpSampling3D", (), [VOLUME], {"data_format": ["channels_first"]}
    yield from of_each_size("SpatialDropout{}", (0.5,), {})
    yield "SpatialDropout2D", (0.5,), [IMAGE], {"data_format": ["channels_first"]}
    yield "SpatialDropout3D", (0.5,), [VOLUME], {"data_format": ["channels_first"]}
    for shape in (SEQUENCE, "masked"):
        yield "SimpleRNN", (3,), [shape], RECURRENT
        yield "LSTM", (3,), [shape], {**RECURRENT, **GATED, "unit_forget_bias": [False]}
        yield "GRU", (3,), [shape], {
            **RECURRENT, **GATED,
            "reset_after": [False, True],
        }  # fmt: skip
        yield "GRU", (3,), [shape], [{"reset_after": False, "use_bias": False},
                                     {"reset_after": False, "recurrent_activation": "hard_sigmoid"}]  # fmt: skip
        for cell in ("SimpleRNNCell", "LSTMCell", "GRUCell"):
            yield "RNN", (getattr(layers, cell)(3),), [shape], {
                "return_sequences": [True], "go_backwards": [True], "unroll": [True],
                "time_major": [False, True],
            }  # fmt: skip
        yield (
            "RNN",
            ([layers.LSTMCell(3, recurrent_activation="hard_sigmoid"), layers.GRUCell(2)],),
            [shape],
            {},
        )
        yield "RNN", (layers.StackedRNNCells([layers.LSTMCell(3), layers.GRUCell(2)]),), [shape], {}
        inner = lambda **k: layers.LSTM(3, return_sequences=True, **k)
        yield "Bidirectional", (inner(),), [shape], {"merge_mode": ["sum", "mul", "ave", "concat"]}
        yield "Bidirectional", (inner(recurrent_activation="hard_sigmoid"),), [shape], {
            "backward_layer": [layers.GRU(3, return_sequences=True, go_backwards=True)],
        }  # fmt: skip
        yield "Bidirectional", (layers.GRU(3, reset_after=False),), [shape], {}
        yield "TimeDistributed", (layers.Dense(3, "hard_sigmoid"),), [shape], {}
        yield "GlobalAveragePooling1D", (), [shape], {}
        yield "GlobalMaxPooling1D", (), [shape], {}
        yield "Conv1D", (3, 2), [shape], {}
        yield "Dense", (3,), [shape], {}
    yield "TimeDistributed", (layers.Conv2D(2, 2),), [CLIP], {}
    yield "TimeDistributed", (layers.BatchNormalization(),), [CLIP], {}
    yield "Dense", (4,), [LINE], {**COMMON, **REGULARIZERS, **ANY}
    yield "Dense", (4,), [(3, 5)], {}
    yield "Dense", (4,), [(2, 3, 5)], {}
    yield "EinsumDense", ("abc,cd->abd", (None, 5)), [SEQUENCE], {
        "bias_axes": ["d"], **REGULARIZERS, "activation": ["hard_sigmoid"],
    }  # fmt: skip
    yield "Embedding", (9, 3), ["integers"], {
        "embeddings_initializer": ["ones"], "embeddings_regularizer": ["l2"],
        "embeddings_constraint": ["non_neg"], "activity_regularizer": ["l1"],
        "mask_zero": [True], "input_length": [6],
    }  # fmt: skip
    for name in ("Activation",):
        yield name, ("relu",), [LINE], ANY
    yield "ActivityRegularization", (), [LINE], {"l1": [0.1], "l2": [0.1]}
    yield "ReLU", (), [LINE], {"max_value": [2.0], "negative_slope": [0.2], "threshold": [0.3]}
    yield "ReLU", (), [LINE], [{"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.5}]
    yield "LeakyReLU", (), [LINE], {"alpha": [0.0, 0.2, 1.5], **ANY}
    yield "ELU", (), [LINE], {"alpha": [0.5, 2.0], **ANY}
    yield "PReLU", (), [IMAGE], {
        "shared_axes": [[1, 2], [1, 2, 3]], "alpha_initializer": ["ones"],
        "alpha_regularizer": ["l2"], "alpha_constraint": ["non_neg"], **ANY,
    }  # fmt: skip
    yield "ThresholdedReLU", (), [LINE], {"theta": [0.0, 0.5]}
    yield "Softmax", (), [SEQUENCE], {"axis": [1, -1, [1, 2]]}
    normalization = {
        "axis": [1], "epsilon": [0.1], "center": [False], "scale": [False],
        "beta_initializer": ["ones"], "gamma_regularizer": ["l2"], "beta_constraint": ["non_neg"],
    }  # fmt: skip
    yield "BatchNormalization", (), [IMAGE], {
        **normalization, "momentum": [0.5], "synchronized": [True], "moving_mean_initializer": ["ones"],
        "fused": [True, False], "virtual_batch_size": [None], **ANY,
        "renorm": [False, True],
    }  # fmt: skip
    yield "BatchNormalization", (), ["masked"], {}
    yield (
        "LayerNormalization",
        (),
        [IMAGE],
        {**normalization, "axis": [1, [1, 2], [2, 3], [-1, -2], [1, 2, 3], [3, 2], (1, 2)]},
    )
    yield "LayerNormalization", (), [(4, 4, 4)], {"axis": [[1, -1], [-1, 1], [2, 1], (3, 2)]}
    yield "Softmax", (), [SEQUENCE], {"axis": [(1, 2), (-1, 1)], "robust_masking": [True]}
    yield (
        "StringLookup",
        (),
        ["strings"],
        [
            {"vocabulary": ["a", "b", "c"], **k}
            for k in (
                {},
                {"output_mode": "multi_hot"},
                {"output_mode": "count"},
                {"num_oov_indices": 2},
                {"mask_token": "d"},
                {"output_mode": "tf_idf", "idf_weights": [0.5, 0.25, 0.125]},
            )
        ],
    )
    yield (
        "TextVectorization",
        (),
        ["text"],
        [
            {"vocabulary": ["a", "b", "c"], **k}
            for k in (
                {},
                {"output_mode": "multi_hot"},
                {"output_mode": "count"},
                {"output_sequence_length": 2},
                {"ngrams": 2},
                {"split": "character"},
                {"output_mode": "tf_idf", "idf_weights": [0.5, 0.25, 0.125]},
            )
        ],
    )
    yield (
        "IntegerLookup",
        (),
        ["integers"],
        [
            {"vocabulary": [1, 2, 3], "output_mode": "tf_idf", "idf_weights": [0.5, 0.25, 0.125]},
            {"vocabulary": [1, 2, 3], "output_mode": "count"},
        ],
    )
    yield "Discretization", (), [LINE], [{"bin_boundaries": [0.0, 1.0], "output_mode": "int"}]
    yield "LayerNormalization", (), [IMAGE], [{"axis": [1, 3]}, {"axis": [1, 2], "scale": False}]
    yield "GroupNormalization", (2,), [IMAGE], {**normalization, "axis": [1, 2], "groups": [4, -1]}
    yield "UnitNormalization", (), [IMAGE], {"axis": [1, [1, 2]]}
    yield "SpectralNormalization", (layers.Dense(3),), [LINE], {"power_iterations": [2]}
    yield "Dropout", (0.5,), [LINE], {"noise_shape": [(None, 1)], "seed": [3]}
    yield "GaussianDropout", (0.5,), [LINE], {"seed": [3]}
    yield "GaussianNoise", (0.5,), [LINE], {"seed": [3]}
    yield "AlphaDropout", (0.5,), [LINE], {"noise_shape": [(1, 7)], "seed": [3]}
    yield "Masking", (), [SEQUENCE], {"mask_value": [1.0]}
    yield "Flatten", (), [IMAGE], {"data_format": ["channels_first"]}
    yield "Reshape", ((6, 32),), [IMAGE], {}
    yield "Reshape", ((-1, 8),), [IMAGE], {}
    yield "Permute", ((2, 1, 3),), [IMAGE], {}
    yield "RepeatVector", (3,), [LINE], {}
    yield "Identity", (), [LINE], {}
    for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
        yield name, (), [LINE, LINE], {}
    yield "Add", (), [LINE, LINE, LINE], {}
    yield "Concatenate", (), [IMAGE, IMAGE], {"axis": [1, 2, 3, -1]}
    yield "Dot", (1,), [SEQUENCE, SEQUENCE], {"normalize": [True], "axes": [2, (1, 1), (2, 2)]}
    yield "Dot", (1,), [LINE, LINE], {"normalize": [True], "axes": [-1]}
    yield "Dot", ((2, 1),), [(3, 4), (4, 5)], {"normalize": [True]}
    yield "Attention", (), [SEQUENCE, SEQUENCE], {
        "use_scale": [True], "score_mode": ["concat"], "dropout": [0.5],
    }  # fmt: skip
    yield "Attention", (), [SEQUENCE, SEQUENCE, SEQUENCE], {}
    yield "Attention", (), ["masked", "masked"], {}
    yield "AdditiveAttention", (), [SEQUENCE, SEQUENCE], {"use_scale": [False]}
    yield "AdditiveAttention", (), ["masked", "masked"], {}
    yield "MultiHeadAttention", (2, 3), [SEQUENCE, SEQUENCE], {
        "value_dim": [4], "use_bias": [False], "output_shape": [5], "attention_axes": [1],
        "dropout": [0.5], **REGULARIZERS,
    }  # fmt: skip
    yield "MultiHeadAttention", (2, 3), ["masked", "masked"], {}
    yield "Rescaling", (0.5,), [IMAGE], {"offset": [1.0], "scale": [[1.0, 2.0, 3.0, 4.0]]}
    yield "Resizing", (5, 4), [IMAGE], {
        "interpolation": ["nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"],
        "crop_to_aspect_ratio": [True],
    }  # fmt: skip
    yield "Resizing", (11, 13), [IMAGE], {
        "interpolation": ["nearest", "bicubic", "area", "lanczos3"],
        "crop_to_aspect_ratio": [True],
    }  # fmt: skip
    yield "CenterCrop", (4, 3), [IMAGE], {}
    yield "CenterCrop", (5, 3), [IMAGE], {}
    yield "CenterCrop", (10, 9), [IMAGE], {}
    yield "RandomCrop", (5, 4), [IMAGE], {"seed": [1]}
    yield "RandomFlip", (), [IMAGE], {"mode": ["horizontal"]}
    yield (
        "RandomTranslation",
        (0.1, 0.1),
        [IMAGE],
        {"fill_mode": ["constant"], "interpolation": ["nearest"]},
    )
    yield "RandomRotation", (0.1,), [IMAGE], {"fill_mode": ["constant"]}
    yield "RandomZoom", (0.1,), [IMAGE], {"width_factor": [0.2]}
    yield "RandomContrast", (0.1,), [IMAGE], {}
    yield "RandomBrightness", (0.1,), [IMAGE], {"value_range": [(0, 1)]}
    yield "RandomHeight", (0.1,), [IMAGE], {}
    yield "RandomWidth", (0.1,), [IMAGE], {}
    yield "Normalization", (), [IMAGE], {"mean": [], "axis": [1, None]}
    yield (
        "Normalization",
        (),
        [LINE],
        [
            {"mean": 1.0, "variance": 4.0},
            {"mean": 1.0, "variance": 4.0, "invert": True},
            {"mean": list(range(7)), "variance": list(range(1, 8))},
            {"axis": None, "mean": 2.0, "variance": 0.5},
        ],
    )
    yield (
        "Discretization",
        ([-1.0, 0.0, 1.0],),
        [LINE],
        {"output_mode": ["one_hot", "multi_hot", "count"]},
    )
    yield "CategoryEncoding", (9,), ["integers"], {"output_mode": ["count"]}
    yield (
        "Hashing",
        (5,),
        ["integers"],
        {"mask_value": [2], "salt": [3, [3, 4]], "output_mode": ["multi_hot"]},
    )
    yield "IntegerLookup", (), ["integers"], {"vocabulary": [[1, 2, 3, 4]]}
    yield (
        "IntegerLookup",
        (),
        ["integers"],
        [
            {"vocabulary": [1, 2, 3, 4], "mask_token": 0},
            {"vocabulary": [1, 2, 3, 4], "output_mode": "multi_hot"},
            {"vocabulary": [1, 2, 3], "num_oov_indices": 3},
        ],
    )
    yield "LocallyConnected1D", (2, 2), [(8, 4)], {}
    yield "LocallyConnected2D", (2, 2), [IMAGE], {}


# Calls with several tensors, which files hold as nodes.
STRUCTURES = (
    ("Seq2Seq", lambda: lambda x, h: layers.LSTM(3)(x, initial_state=[h, h]), [SEQUENCE, (3,)]),
    ("Seq2SeqGRU", lambda: lambda x, h: layers.GRU(3)(x, initial_state=h), [SEQUENCE, (3,)]),
    ("Seq2SeqStates", lambda: lambda x, y: layers.LSTM(3)(
        y, initial_state=layers.LSTM(3, return_state=True)(x)[1:]), [SEQUENCE, SEQUENCE]),
    ("BidirectionalStates", lambda: lambda x, h: layers.Bidirectional(layers.GRU(3))(
        x, initial_state=[h, h]), [SEQUENCE, (3,)]),
    ("CrossAttention", lambda: lambda x, y: layers.MultiHeadAttention(2, 3)(x, y, y),
     [SEQUENCE, (3, 5)]),
    ("KeyAttention", lambda: lambda x, y: layers.MultiHeadAttention(2, 3)(x, value=y, key=y),
     [SEQUENCE, (3, 5)]),
    ("TrainingTrue", lambda: lambda x: layers.BatchNormalization()(x, training=False), [LINE]),
)  # fmt: skip


def each_case(names=()):
    """`(label, function that makes the model)` of every case."""
    for name, args, shapes, values in cases():
        if names and name not in names:
            continue
        if isinstance(values, dict):
            single = [{key: value} for key, options in values.items() for value in options]
            values = [{}, *single]
        for kwargs in values:
            yield f"{name}{args}{shapes} {kwargs}", name, args, shapes, kwargs
    for name, make, shapes in STRUCTURES:
        if not names or name in names:
            yield name, make, (), shapes, {}
    places = {
        "Dense": lambda a: layers.Dense(3, activation=a),
        "Activation": lambda a: layers.Activation(a),
        "Conv2D": lambda a: layers.Conv2D(3, 2, activation=a),
        "Conv2DTranspose": lambda a: layers.Conv2DTranspose(3, 2, activation=a),
        "SeparableConv2D": lambda a: layers.SeparableConv2D(3, 2, activation=a),
        "DepthwiseConv2D": lambda a: layers.DepthwiseConv2D(2, activation=a),
        "EinsumDense": lambda a: layers.EinsumDense("abcd,de->abce", (None, None, 3), activation=a),
        "TimeDistributed": lambda a: layers.TimeDistributed(layers.Dense(3, activation=a)),
        "LSTM": lambda a: layers.LSTM(3, activation=a),
        "GRU": lambda a: layers.GRU(3, recurrent_activation=a),
        "LSTM recurrent": lambda a: layers.LSTM(3, recurrent_activation=a),
        "ConvLSTM2D": lambda a: layers.ConvLSTM2D(3, 2, recurrent_activation=a),
    }
    shapes = {"LSTM": SEQUENCE, "GRU": SEQUENCE, "LSTM recurrent": SEQUENCE, "ConvLSTM2D": CLIP}
    for place, make in places.items():
        for activation in (
            *ACTIVATIONS,
            *ACTIVATION_LAYERS,
            tf.nn.relu6,
            tf.nn.leaky_relu,
            tf.nn.silu,
            tf.nn.gelu,
        ):
            if names and place.split()[0] not in names:
                continue
            if activation in ACTIVATION_LAYERS:
                if "LSTM" in place or "GRU" in place:
                    continue
                made = lambda make=make, a=activation: make(ACTIVATION_LAYERS[a]())
            else:
                made = lambda make=make, a=activation: make(a)
            shape = shapes.get(place, IMAGE)
            yield f"{place} activation {activation}", made, (), [shape], {}


def make_model(make, args, shapes, kwargs):
    random = np.random.default_rng(0)
    inputs, data, ends = [], [], []
    batch = 6 if kwargs.get("time_major") else 5
    for shape in shapes:
        if shape == "integers":
            inputs.append(layers.Input((6,), dtype="int32"))
            data.append(random.integers(0, 9, size=(5, 6)).astype("int32"))
            ends.append(inputs[-1])
            continue
        if shape in ("strings", "text"):
            inputs.append(layers.Input((6,) if shape == "strings" else (1,), dtype="string"))
            words = random.choice(["a", "b", "c", "d"], size=(5, 6))
            data.append(
                tf.constant(words if shape == "strings" else [[" ".join(w)] for w in words])
            )
            ends.append(inputs[-1])
            continue
        is_masked = shape == "masked"
        shape = SEQUENCE if is_masked else shape
        inputs.append(layers.Input(shape))
        data.append(random.normal(size=(batch, *shape), scale=2).astype("float32"))
        if is_masked:
            data[-1][0, 3:] = data[-1][2, 4:] = 0
        ends.append(layers.Masking()(inputs[-1]) if is_masked else inputs[-1])

    def fresh(a):
        if isinstance(a, (list, tuple)):
            return type(a)(fresh(i) for i in a)
        return type(a).from_config(a.get_config()) if isinstance(a, layers.Layer) else a

    args = fresh(args)
    kwargs = {k: fresh(v) for k, v in kwargs.items()}
    if isinstance(make, str):
        layer_class = getattr(layers, make)
        if "kernel_size" in kwargs:
            args = args[:1]
        if (
            make == "Dot"
            and "axes" in kwargs
            or make == "Rescaling"
            and "scale" in kwargs
            or make == "GroupNormalization"
            and "groups" in kwargs
        ):
            args = ()
        layer = layer_class(*args, **kwargs)
    else:
        layer = make()
    if type(layer).__name__ in ("MultiHeadAttention", "function"):
        y = layer(*ends)
    else:
        y = layer(ends if len(ends) > 1 else ends[0])
    model = tf_keras.Model(inputs, y)
    weights = [
        (random.normal(size=w.shape) if np.issubdtype(w.dtype, np.floating) else w).astype(w.dtype)
        for w in model.get_weights()
    ]
    if "Normalization" in type(layer).__name__ or type(layer).__name__ == "TimeDistributed":
        weights = [abs(w) for w in weights]
    model.set_weights(weights)
    return model, data


def outcome(model, data, suffix, folder):
    expected = model(data if len(data) > 1 else data[0], training=False)
    path = os.path.join(folder, "model" + suffix)
    try:
        model.save(path)
    except Exception as error:
        return "unsaveable", str(error)[:200]
    try:
        loaded = keras_leaky.load_model(path)
        got = loaded(data if len(data) > 1 else data[0], training=False)
    except Exception as error:
        kind = (
            "refused"
            if type(error) is ValueError and error.__class__.__module__ == "builtins"
            else "raised"
        )
        return kind, type(error).__name__ + ": " + str(error).replace(path, "PATH")
    expected, got = np.asarray(expected), np.asarray(got)
    if expected.shape != got.shape:
        return "DIFFERENT", f"shape {got.shape} for {expected.shape}"
    if expected.dtype != got.dtype and str(expected.dtype) != str(got.dtype):
        return "DIFFERENT", f"dtype {got.dtype} for {expected.dtype}"
    half = str(expected.dtype) in ("float16", "bfloat16")
    e, g = expected.astype("float64"), got.astype("float64")
    difference = np.abs(e - g) / (1 + np.abs(e))
    if np.isnan(e).any() != np.isnan(g).any() or np.nanmax(difference, initial=0) > (
        2e-2 if half else 1e-5
    ):
        return "DIFFERENT", f"{np.max(difference):.3g}"
    return "equal", ""


def main(names):
    warnings.simplefilter("ignore")
    tf.get_logger().setLevel("ERROR")
    absl.logging.set_verbosity("ERROR")
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        for label, make, args, shapes, kwargs in each_case(names):
            try:
                tf_keras.backend.clear_session()
                model, data = make_model(make, args, shapes, kwargs)
            except Exception as error:
                print("UNBUILT", label, type(error).__name__, str(error)[:300].replace("\n", " "))
                continue
            for suffix in (".h5", ".keras"):
                kind, text = outcome(model, data, suffix, folder)
                counts[kind, suffix] = counts.get((kind, suffix), 0) + 1
                if kind != "equal":
                    print(kind, suffix, label, "|", text[:400].replace("\n", " "), flush=True)
    print(counts)


if __name__ == "__main__":
    main(sys.argv[1:])

# ruff: noqa: E501
"""Compares what `keras_leaky.load_model` restores of `compile` with tf_keras, the last Keras 2.

For every loss, metric and optimizer of tf_keras, by name and as an object, with their arguments:
tf_keras compiles a small model, saves it as .h5 and as .keras and evaluates it; optimizers also
train three steps, anew from the saved weights. `load_model` must give the same numbers, or refuse.

    PYTHONPATH=. python tests/golden/compare_training_with_keras2.py
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

LOSSES, METRICS = tf_keras.losses, tf_keras.metrics
OPTIMIZERS, SCHEDULES = tf_keras.optimizers, tf_keras.optimizers.schedules


def losses():
    names = (
        "binary_crossentropy", "categorical_crossentropy", "categorical_hinge",
        "cosine_similarity", "hinge", "huber", "kl_divergence", "kld", "KLD",
        "kullback_leibler_divergence", "log_cosh", "logcosh", "mae", "MAE", "mape", "MAPE", "mse",
        "MSE", "msle", "MSLE", "mean_absolute_error", "mean_absolute_percentage_error",
        "mean_squared_error", "mean_squared_logarithmic_error", "poisson", "squared_hinge",
        "bce", "BCE", "sparse_categorical_crossentropy", "binary_focal_crossentropy",
        "categorical_focal_crossentropy",
    )  # fmt: skip
    for name in names:
        yield f"loss {name}", {"loss": name}
    for name in names:
        function = getattr(LOSSES, name, None)
        if function is not None and not isinstance(function, str):
            yield f"loss function {name}", {"loss": function}
    arguments = {
        "BinaryCrossentropy": [{"from_logits": True}, {"label_smoothing": 0.1}],
        "CategoricalCrossentropy": [{"from_logits": True}, {"label_smoothing": 0.1}],
        "SparseCategoricalCrossentropy": [{"from_logits": True}, {"ignore_class": 1}],
        "CosineSimilarity": [{"axis": 0}],
        "Huber": [{"delta": 0.3}],
        "BinaryFocalCrossentropy": [{"gamma": 1.0}, {"apply_class_balancing": True}],
        "CategoricalFocalCrossentropy": [{"alpha": 0.5}],
    }
    for name in dir(LOSSES):
        kind = getattr(LOSSES, name)
        if not isinstance(kind, type) or name in ("Loss", "Reduction"):
            continue
        for kwargs in ({}, {"reduction": "sum"}, {"reduction": "sum_over_batch_size"},
                       {"reduction": "none"}, {"name": "mine"}, *arguments.get(name, ())):  # fmt: skip
            yield f"{name} {kwargs}", {"loss": kind(**kwargs)}
    yield "loss_weights", {"loss": "mse", "loss_weights": 0.5}


def metrics():
    names = (
        "acc", "accuracy", "crossentropy", "binary_accuracy", "categorical_accuracy", "mse", "mae",
        "mape", "msle", "cosine_similarity", "hinge", "kld", "poisson", "squared_hinge", "log_cosh",
        "logcosh", "sparse_categorical_accuracy", "top_k_categorical_accuracy", "MSE", "MAE",
        "binary_crossentropy", "categorical_crossentropy", "sparse_top_k_categorical_accuracy",
        "kullback_leibler_divergence", "AUC", "Precision", "Recall",
    )  # fmt: skip
    for loss in ("mse", "categorical_crossentropy", "binary_crossentropy"):
        for name in names:
            yield f"metric {name} with {loss}", {"loss": loss, "metrics": [name]}
    for name in dir(METRICS):
        kind = getattr(METRICS, name)
        if not isinstance(kind, type) or name in (
            "Metric",
            "MeanMetricWrapper",
            "Mean",
            "Sum",
            "MeanTensor",
        ):
            continue
        needed = {
            "IoU": [{"num_classes": 2, "target_class_ids": [0]}], "BinaryIoU": [{}],
            "MeanIoU": [{"num_classes": 2}], "OneHotMeanIoU": [{"num_classes": 4}],
            "OneHotIoU": [{"num_classes": 4, "target_class_ids": [0]}],
            "PrecisionAtRecall": [{"recall": 0.5}], "RecallAtPrecision": [{"precision": 0.5}],
            "SensitivityAtSpecificity": [{"specificity": 0.5}],
            "SpecificityAtSensitivity": [{"sensitivity": 0.5}],
            "MeanRelativeError": [{"normalizer": [1.0, 2.0, 3.0, 4.0]}],
            "AUC": [{}, {"curve": "PR"}, {"num_thresholds": 5}, {"multi_label": True}, {"from_logits": True}],
            "Precision": [{}, {"top_k": 1}, {"class_id": 1}, {"thresholds": 0.3}],
            "Recall": [{}, {"top_k": 1}, {"thresholds": [0.3, 0.6]}],
            "F1Score": [{}, {"average": "macro"}, {"threshold": 0.5}],
            "FBetaScore": [{"beta": 2.0, "average": "micro"}],
            "BinaryAccuracy": [{}, {"threshold": 0.3}], "CosineSimilarity": [{}, {"axis": 0}],
            "TopKCategoricalAccuracy": [{"k": 2}], "SparseTopKCategoricalAccuracy": [{"k": 2}],
            "R2Score": [{}, {"class_aggregation": "variance_weighted_average"}],
        }.get(name, [{}])  # fmt: skip
        for kwargs in needed:
            yield f"{name} {kwargs}", {"loss": "mse", "metrics": [kind(**kwargs)]}
    yield "weighted_metrics", {"loss": "mse", "weighted_metrics": ["mae"]}


def optimizers():
    schedules = (
        SCHEDULES.ExponentialDecay(0.1, 2, 0.5), SCHEDULES.ExponentialDecay(0.1, 2, 0.5, True),
        SCHEDULES.CosineDecay(0.1, 5), SCHEDULES.CosineDecay(0.0, 5, warmup_target=0.1, warmup_steps=2),
        SCHEDULES.CosineDecayRestarts(0.1, 2), SCHEDULES.InverseTimeDecay(0.1, 2, 0.5),
        SCHEDULES.PiecewiseConstantDecay([1, 2], [0.1, 0.05, 0.01]),
        SCHEDULES.PolynomialDecay(0.1, 4),
    )  # fmt: skip
    for schedule in schedules:
        yield f"{type(schedule).__name__}", OPTIMIZERS.SGD(schedule)
    own = {
        "SGD": [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
        "Adam": [{"amsgrad": True}, {"epsilon": 0.1}, {"beta_1": 0.5}],
        "RMSprop": [{"centered": True}, {"momentum": 0.5}, {"rho": 0.5}],
        "Adagrad": [{"initial_accumulator_value": 0.0}],
        "Ftrl": [{"l1_regularization_strength": 0.1}, {"beta": 0.1}],
        "Adafactor": [{"relative_step": False}],
        "Adadelta": [{"rho": 0.5}],
    }
    shared = (
        {},
        {"weight_decay": 0.1},
        {"clipnorm": 0.1},
        {"clipvalue": 0.01},
        {"global_clipnorm": 0.1},
        {"use_ema": True},
    )
    for name in (
        "SGD",
        "Adam",
        "AdamW",
        "Adamax",
        "Adagrad",
        "Adadelta",
        "Adafactor",
        "Ftrl",
        "Lion",
        "Nadam",
        "RMSprop",
    ):
        kind = getattr(OPTIMIZERS, name)
        for kwargs in (*shared, *own.get(name, ())):
            yield f"{name} {kwargs}", kind(0.05, **kwargs)
        yield f"{name}()", kind()
        if name not in ("Adafactor", "Lion", "AdamW"):  # tf_keras has no names for these
            yield f"{name} by name", name.lower()
    for name in ("SGD", "Adam", "Adamax", "Adagrad", "Adadelta", "Ftrl", "Nadam", "RMSprop"):
        kind = getattr(OPTIMIZERS.legacy, name)
        for kwargs in ({}, {"decay": 0.5}, {"clipnorm": 0.1}, *own.get(name, ())):
            yield f"legacy.{name} {kwargs}", kind(0.05, **kwargs)
    scale = tf_keras.mixed_precision.LossScaleOptimizer
    yield "LossScaleOptimizer", scale(OPTIMIZERS.SGD(0.05))
    yield (
        "LossScaleOptimizer dynamic=False",
        scale(OPTIMIZERS.SGD(0.05), dynamic=False, initial_scale=8),
    )
    yield "LossScaleOptimizer legacy", scale(OPTIMIZERS.legacy.SGD(0.05))
    yield (
        "LossScaleOptimizer initial_scale",
        scale(OPTIMIZERS.SGD(0.05), initial_scale=4, dynamic_growth_steps=3),
    )


def cases():
    for label, compiled in (*losses(), *metrics()):
        yield label, {"optimizer": "sgd", **compiled}, False
    for label, optimizer in optimizers():
        yield label, {"optimizer": optimizer, "loss": "mse"}, True


def numbers(model, x, y, steps):
    if steps:
        # What SGD does to weights is told from what the model then gives.
        for _ in range(3):
            model.train_on_batch(x, y)
        return [np.asarray(model(x)).ravel()]
    return [
        np.ravel(value)
        for value in np.atleast_1d(np.array(model.evaluate(x, y, verbose=0), dtype=object)).ravel()
    ]


def main(words):
    warnings.simplefilter("ignore")
    tf.get_logger().setLevel("ERROR")
    absl.logging.set_verbosity("ERROR")
    random, counts = np.random.default_rng(0), {}
    x = random.normal(size=(6, 3)).astype("float32")
    one_hot = np.eye(4, dtype="float32")[random.integers(0, 4, size=6)]
    with tempfile.TemporaryDirectory() as folder:
        for label, compiled, steps in cases():
            if words and not any(word in label for word in words):
                continue
            tf_keras.backend.clear_session()
            model = tf_keras.Sequential(
                [
                    tf_keras.layers.Input((3,)),
                    tf_keras.layers.Dense(5),
                    tf_keras.layers.LeakyReLU(0.1),
                    tf_keras.layers.Dense(4, activation="softmax"),
                ]
            )
            y = one_hot
            if "sparse" in label.lower():
                y = np.argmax(one_hot, axis=1)
            for suffix in (".h5", ".keras"):
                path = os.path.join(folder, "model" + suffix)
                if not isinstance(compiled["optimizer"], str):  # without the state of the last run
                    optimizer = compiled["optimizer"]
                    compiled["optimizer"] = type(optimizer).from_config(optimizer.get_config())
                model.compile(**compiled)
                start = model.get_weights()
                try:
                    model.save(path)
                    expected = numbers(model, x, y, steps)
                except Exception as error:
                    print(
                        "UNSAVED",
                        suffix,
                        label,
                        type(error).__name__,
                        str(error)[:200].replace("\n", " "),
                    )
                    break
                finally:
                    model.set_weights(start)
                try:
                    kind, text = "equal", ""
                    got = numbers(keras_leaky.load_model(path), x, y, steps)
                    if len(got) != len(expected) or not all(
                        np.shape(a) == np.shape(b)
                        and np.allclose(
                            np.asarray(a, float), np.asarray(b, float), rtol=1e-4, atol=1e-6
                        )
                        for a, b in zip(got, expected, strict=True)
                    ):
                        kind, text = (
                            "DIFFERENT",
                            f"{[str(v) for v in got]} for {[str(v) for v in expected]}".replace(
                                "\n", " "
                            ),
                        )
                except Exception as error:
                    kind, text = (
                        "refused",
                        f"{type(error).__name__}: {error}".replace(path, "PATH").replace("\n", " "),
                    )
                counts[kind, suffix] = counts.get((kind, suffix), 0) + 1
                if kind != "equal":
                    print(kind, suffix, label, "|", text[:400], flush=True)
    print(counts)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Arguments of `compile` from Keras 2 in Keras 3's form."""

from typing import Any

import keras

from keras_leaky.saving.configs import is_of_keras, replace_values

# Losses by the names that Keras 3 takes in `compile` and cannot read back (3.15: "Could not
# deserialize 'keras.metrics.mse'").
LOSS_NAMES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    # Names that Keras 3 dropped.
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
}
METRIC_NAMES = {
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "LogCoshError",
    "log_cosh": "LogCoshError",
}
# Keras 2 wrote None for the default, which Keras 3 has under another value.
DEFAULT_IS_NONE = ("run_eagerly", "steps_per_execution", "jit_compile")


def repair_training(
    config: dict[str, Any] | None, custom_objects: dict[str, Any] | None
) -> dict[str, Any] | None:
    """The training config of an `.h5` file or the compile config of a `.keras` file."""
    if config is None:
        return None
    config = {k: v for k, v in config.items() if v is not None or k not in DEFAULT_IS_NONE}
    for key in ("loss", "metrics", "weighted_metrics"):
        if key in config:
            value = _repair(config[key], key == "loss", custom_objects)
            # Metrics are one list an output; of a single output Keras 3.12 wants them as they are.
            is_single = isinstance(value, list) and len(value) == 1 and isinstance(value[0], list)
            config[key] = value[0] if is_single else value
    for key in ("optimizer", "optimizer_config"):
        if isinstance(config.get(key), dict):
            config[key] = _repair_optimizer(config[key], custom_objects)
    return config


def _repair(config, is_loss, custom_objects) -> Any:
    """Losses or metrics: one, or lists and dicts of them."""
    if isinstance(config, list):
        return [_repair(item, is_loss, custom_objects) for item in config]
    if isinstance(config, str):
        return (LOSS_NAMES if is_loss else METRIC_NAMES).get(config.lower(), config)
    if not isinstance(config, dict):
        return config
    if "class_name" not in config:  # one an output
        return {key: _repair(value, is_loss, custom_objects) for key, value in config.items()}
    if not is_of_keras(config, custom_objects) or not isinstance(config["config"], dict):
        return config
    if config["config"].get("reduction") == "auto":  # which meant this
        config = replace_values(config, reduction="sum_over_batch_size")
    function = config["config"].get("fn")
    if not isinstance(function, str):
        return config
    if config["class_name"] != "MeanMetricWrapper":
        return replace_values(config, ["fn"])  # the class has it
    if function in ("cosine_similarity", "cosine_proximity"):  # as a function only a loss by now
        return {**replace_values(config, ["fn"]), "class_name": "CosineSimilarity"}
    if function in ("log_cosh", "logcosh"):
        return {**replace_values(config, ["fn"]), "class_name": "LogCoshError"}
    if not hasattr(keras.metrics, function):
        return config
    place = {"module": "keras.metrics", "class_name": "function", "registered_name": function}
    return replace_values(config, fn={**place, "config": function})


def _repair_optimizer(config, custom_objects):
    name = config["class_name"]
    # 2.11 and later registered their own optimizers under the package of custom ones, and some as
    # experimental.
    own = name.removeprefix("Custom>")
    own = "LossScaleOptimizer" if own == "LossScaleOptimizerV3" else own
    is_registered = keras.saving.get_registered_object(name, custom_objects) is not None
    if is_registered or not hasattr(keras.optimizers, own):
        return config
    config = {**config, "class_name": own}
    if own == "LossScaleOptimizer":
        return _loss_scale(config, custom_objects)
    if config.get("module") in ("keras.optimizers.experimental", "keras.optimizers.legacy"):
        config["module"] = "keras.optimizers"
    inner = config["config"]
    drop = ["lr", "jit_compile", "is_legacy_optimizer", "decay"]
    rate = inner.get("learning_rate", inner.get("lr"))  # lr until 2.2
    if isinstance(rate, dict) and isinstance(rate.get("config"), dict):
        if rate["config"].get("name", "") is None:  # which Keras 3 refuses
            rate = replace_values(rate, ["name"])
        if "module" not in rate:
            rate = {**rate, "module": "keras.optimizers.schedules", "registered_name": None}
    if inner.get("decay"):
        rate = _decaying(rate, inner["decay"])
    return replace_values(config, drop, **({} if rate is None else {"learning_rate": rate}))


def _loss_scale(config, custom_objects):
    """The wrapper that Keras puts around an optimizer under mixed_float16."""
    inner = config["config"]
    around = inner.get("inner_optimizer", inner.get("optimizer"))  # the latter until 2.3
    if inner.get("dynamic") is False:
        raise ValueError(
            "`dynamic` of LossScaleOptimizer must be True: Keras 3 has no fixed loss scale. "
            f"Received: dynamic={inner['dynamic']!r}. Pass `compile=False`, and call `compile` on "
            "the model."
        )
    kept = {k: inner[k] for k in ("initial_scale", "dynamic_growth_steps") if k in inner}
    place = {"module": "keras.optimizers", "registered_name": None}
    kept["inner_optimizer"] = {**_repair_optimizer(around, custom_objects), **place}
    return {**place, "class_name": "LossScaleOptimizer", "config": kept}


def _decaying(rate, decay):
    """The `decay` of Keras 2, which Keras 3 ignores, as an equivalent schedule."""
    if not isinstance(rate, int | float):
        raise ValueError(
            "`decay` of the optimizer must be 0 if its learning rate is not one number, because "
            f"Keras 3 has no `decay`. Received: decay={decay!r}, learning_rate={rate!r}. Pass "
            "`compile=False`, and call `compile` on the model."
        )
    inner = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay}
    place = {"module": "keras.optimizers.schedules", "registered_name": None}
    return {**place, "class_name": "InverseTimeDecay", "config": inner}

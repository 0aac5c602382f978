"""The structure of a program: models with the same structure differ only in numbers."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import keras
import numpy as np

from keras_leaky.layers.slope import FixedRectifier
from keras_leaky.rectifiers import TABLE
from keras_leaky.tuning._engine.reachable import UnknownError, Walk, is_of_library, names_in
from keras_leaky.tuning.scaled_schedule import ScaledSchedule, inner_optimizer_of

# All that is left out of a structure, with the reason, by the class of the object whose attribute
# it is. Everything else is compared.
_TRACKER = "which attributes Keras tracks, by `id`"
_LEFT_OUT = {
    keras.Variable: {
        "_value": "the number that is loaded",
        "_initializer": "where the variable started",
    },
    keras.random.SeedGenerator: {"_initial_seed": "where its variable started"},
    keras.Operation: {
        "_inbound_nodes": "its calls, in other models too; a model holds its own",
        "_outbound_nodes": "likewise",
        "_auto_config": "the arguments it was made with; what it made of them is compared",
        "_tracker": _TRACKER,
    },
    keras.layers.Layer: {
        "_build_shapes_dict": "shapes for `build`; what it made of them is compared",
        "_called": "whether it was called",
        "_tracked": "names of attributes, which are compared themselves",
        "_losses": "of the last call",
        "_loss_ids": "of the last call",
    },
    keras.Model: {
        "name": "of the whole; those of its outputs are compared",
        "_path": "likewise",
        "_nodes": "`id`s; the graph is compared",
        "_compile_loss": "made of what `compile` was given, which is compared",
        "_compile_metrics": "likewise",
        "_loss_tracker": "likewise",
        "train_function": "compiled from what is compared",
        "test_function": "likewise",
        "predict_function": "likewise",
        "history": "of a training",
        "stop_training": "of a training",
        "stop_evaluating": "of a training",
        "stop_predicting": "of a training",
        "_jax_state": "of a training",
        "_jax_state_synced": "of a training",
        "_eval_epoch_iterator": "of a training",
    },
    keras.KerasTensor: {
        "_keras_history": "the place among all calls of a layer",
        "name": "counts up; those of inputs are names of layers too",
    },
    keras.optimizers.Optimizer: {
        "_tracker": _TRACKER,
        "_trainable_variables_indices": "`id`s",
        "_exclude_from_weight_decay": "`id`s; which variables it leaves out is compared",
        "_exclude_from_weight_decay_cache": "likewise",
        "_distribution_strategy": "a distributed training does not use a compiled epoch",
    },
    keras.metrics.Metric: {"_tracker": _TRACKER},
    keras.losses.Loss: {"_tracker": _TRACKER},
}
# TensorFlow's lists of the attributes above that go into its checkpoints.
_OF_TRACKABLES = {
    f"_self_{name}"
    for name in (
        "name_based_restores",
        "saveable_object_factories",
        "setattr_tracking",
        "unconditional_checkpoint_dependencies",
        "unconditional_deferred_dependencies",
        "unconditional_dependency_names",
        "update_uid",
    )
}
# False or not there is the same: loading weights sets them.
_SET_LATE = ("is_gptq_calibrated", "is_awq_calibrated")
# Keras puts these around methods of each layer. The methods themselves are in its class.
_PROBE = keras.layers.Layer(name="any")
_WRAPPED = [name for name, value in vars(_PROBE).items() if isinstance(value, FunctionType)]
_WRAPPERS = {vars(_PROBE)[name].__code__ for name in _WRAPPED}
_Tracker = type(_PROBE._tracker)


@dataclasses.dataclass(frozen=True)
class Structure:
    """The structure of a model. It is equal for models that can run in one compiled program.

    Attributes:
        tokens: Everything that can be reached from the model, its optimizer, losses and metrics,
            less the table above, what was drawn (initializers and seeds of Keras's layers and ours)
            and the numbers in variables of the model and its optimizer: weights, statistics, slopes
            made inside `variable_slopes()`, a learning rate. Automatic names are part of it, so
            models to compare must be built `in_new_session`.
        has_users_code: Whether functions or classes that are neither Keras's nor ours take part.
    """

    tokens: tuple[Any, ...]
    has_users_code: bool


def structure_of(model: Any) -> Structure | None:
    """The `Structure` of a built and compiled model whose optimizer is built.

    Returns:
        None where it cannot be told: an iterator, or a loss with a variable of its own.
    """
    try:
        return _walk(model, _Describe(model))
    except (UnknownError, RecursionError):
        return None


def state_of(model: Any) -> Structure:
    """The structure without the parts that training changes, to detect other changes.

    Raises:
        UnknownError: If it cannot be told.
    """
    return _walk(model, _DescribeState(model))


def metrics_of(model: Any) -> list[keras.metrics.Metric]:
    """The metrics of a compiled model, including the ones that are not attached to it yet."""
    config = model._compile_config.config  # public only in its serialized form
    given = keras.tree.flatten([config.get(key) for key in ("metrics", "weighted_metrics")])
    return [m for m in [*given, *model.metrics] if isinstance(m, keras.metrics.Metric)]


def _walk(model: Any, describe: Callable[[Any, Walk], bool]) -> Structure:
    walk, config = Walk(describe, _left_out), keras.config
    walk.add(config.floatx(), config.epsilon(), config.image_data_format())
    walk.add(config.is_flash_attention_enabled())
    walk.visit(config.dtype_policy())
    walk.visit(model)
    optimizer = inner_optimizer_of(model.optimizer)
    walk.add(*(optimizer._use_weight_decay(v) for v in model.trainable_variables))
    return Structure(tuple(walk.tokens), walk.has_users_code)


class _Describe:
    """Writes down the state that attributes do not show."""

    def __init__(self, model: Any) -> None:
        loaded = [*model.variables, *model.optimizer.variables]
        metrics = metrics_of(model)
        self._loaded = {id(v): number for number, v in enumerate(loaded)}
        self._metrics = {id(v): metric for metric in metrics for v in metric.variables}
        self._kept = loaded, metrics  # whose `id`s these are

    def __call__(self, value: Any, walk: Walk) -> bool:
        kind = type(value)
        if isinstance(value, keras.Variable):
            self._describe_variable(value, walk)
        elif kind is _Tracker:
            walk.add(kind)
        elif kind is Watched:
            walk.visit(value.method)
        elif kind.__module__.startswith(("tensorflow.", "jax", "torch")):
            _describe_of_backend(value, walk)
        elif hasattr(kind, "get_vocabulary"):
            raise UnknownError("a table beside the variables")
        else:
            return False
        return True

    def _describe_variable(self, variable: Any, walk: Walk) -> None:
        number = self._loaded.get(id(variable))
        metric = self._metrics.get(id(variable))
        if number is None and metric is None:
            raise UnknownError(f"the variable {variable.path}, which is none of the model's")
        walk.add("variable", number)
        if metric is not None and not is_of_library(type(metric).__module__):
            self._describe_start(variable, walk)
        walk.visit_object(variable)

    def _describe_start(self, variable: Any, walk: Walk) -> None:
        walk.visit(keras.ops.convert_to_numpy(variable))  # a `reset_state` may keep it


class _DescribeState(_Describe):
    def __call__(self, value: Any, walk: Walk) -> bool:
        if isinstance(value, keras.metrics.Metric) and is_of_library(type(value).__module__):
            walk.add(type(value))  # makes its variables when it sees data
            return True
        return super().__call__(value, walk)

    def _describe_start(self, variable: Any, walk: Walk) -> None:
        pass


def _describe_of_backend(value: Any, walk: Walk) -> None:
    """Writes down an object of the backend: tensors that Keras gave it, and nothing else."""
    for container in (list, dict, tuple):
        if isinstance(value, container):  # TensorFlow's wrapper of an attribute
            walk.visit(container(value))
            return
    if type(value).__name__ in ("DType", "dtype", "TensorShape"):
        walk.add(repr(value))
        return
    if not keras.ops.is_tensor(value) or hasattr(value, "assign"):
        raise UnknownError(f"{type(value)}")
    try:
        array = np.asarray(keras.ops.convert_to_numpy(value))
    except Exception as error:  # symbolic, or a handle
        raise UnknownError(f"{type(value)} has no value") from error
    walk.add(type(value).__name__)
    walk.visit(array)


class Watched:
    """A method of a model with a wrapper that does not change its behaviour.

    Args:
        method: The method.
        watch: Function `(method, *args, **kwargs)` that is called instead.
    """

    def __init__(self, method: Callable[..., Any], watch: Callable[..., Any]) -> None:
        self.method, self._watch = method, watch

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._watch(self.method, *args, **kwargs)


def _left_out(owner: Any) -> frozenset[str]:
    """Names of the attributes of an object that are left out."""
    kind: Any = type(owner)
    names = _left_out_of(kind)
    if isinstance(owner, keras.layers.Layer):
        attributes = vars(owner)
        wrapped = {name for name in _WRAPPED if _is_wrapper(attributes.get(name))}
        wrapped |= {name for name in _SET_LATE if attributes.get(name) is False}
        if isinstance(owner, FixedRectifier) and owner.weights:
            # Else made outside `variable_slopes()`: constants.
            wrapped |= _slopes_of(kind, slope_names(kind))
        return names | wrapped
    if isinstance(owner, ScaledSchedule) and owner.variable is not None:
        return names | {"learning_rate"}
    return names


def _is_wrapper(value: Any) -> bool:
    return isinstance(value, FunctionType) and value.__code__ in _WRAPPERS


@functools.lru_cache(1024)
def _left_out_of(cls: Any) -> frozenset[str]:
    """Names of attributes of objects of a class that are left out."""
    names = {name for base in _LEFT_OUT if issubclass(cls, base) for name in _LEFT_OUT[base]}
    if issubclass(cls, keras.layers.Layer):
        # Attributes that only decide where a variable starts.
        names |= _arguments_of(cls, lambda name: name.endswith(("_initializer", "seed")))
    return _less_users_names(names, cls) | _OF_TRACKABLES


def slope_names(cls: Any) -> tuple[str, ...]:
    """The arguments of a rectifier whose numbers are in variables, inside `variable_slopes()`."""
    entries = [entry for entry in TABLE.values() if issubclass(cls, entry.layer)]
    return tuple(dict.fromkeys(name for entry in entries for name in entry.parameters))


@functools.lru_cache(1024)
def _slopes_of(cls: Any, names: tuple[str, ...]) -> frozenset[str]:
    """Names of attributes of a rectifier that stand for `names`, from `slope_names`."""
    return _less_users_names({*names, *(f"_{name}" for name in names)}, cls)


def _less_users_names(names: Iterable[str], cls: Any) -> frozenset[str]:
    """The names without any that the code of a user's class mentions."""
    users = [base for base in cls.__mro__ if not is_of_library(base.__module__)]
    return frozenset(names).difference(*map(_names_mentioned, users))


def _names_mentioned(cls: Any) -> set[str]:
    # A rectifier that was registered makes its variables in `__init__`, and whatever else it makes
    # of its numbers there is compared.
    is_registered = any(entry.layer is cls for entry in TABLE.values())
    return names_in(cls, but=("__init__", "get_config") if is_registered else ())


def _arguments_of(cls: Any, condition: Callable[[str], bool]) -> set[str]:
    """Arguments of the libraries' classes that a class is made of, public and kept private."""
    names = {
        name
        for base in cls.__mro__
        if is_of_library(base.__module__) and base is not object and "__init__" in vars(base)
        for name in inspect.signature(base.__init__).parameters
        if condition(name)
    }
    return names | {f"_{name}" for name in names}

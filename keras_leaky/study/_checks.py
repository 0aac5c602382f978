"""Checks of the data and of `build`, made before anything is trained."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_leaky.layers._nested import layers_of
from keras_leaky.rectifiers import find_entry
from keras_leaky.study._repeats import count_shared, digest_rows
from keras_leaky.study.arms import Arm, ArmModel, Rectifier
from keras_leaky.study.errors import InputError
from keras_leaky.tuning import Trainer

_MOST_SHARED = 0.1  # of the test rows may be training rows; a few are in every real data set
_MAX_BYTES = 2**31  # of arrays that are compared row by row


@dataclass(frozen=True)
class Probe:
    """Facts about an arm's model, from building it once.

    Attributes:
        space: The hyperparameters that `build` asked for.
        digest: Digest of the initial weights, their shapes and the optimizer's settings.
        n_parameters: Trainable weights, without a rectifier's own.
        n_products: Multiplications of a forward pass, for one example.
        metrics: Names that `fit` logs.
        loss: The loss that the model was compiled with.
    """

    space: list[Any]
    digest: str
    n_parameters: int
    n_products: int
    metrics: list[str]
    loss: Any


@dataclass(frozen=True)
class FitData:
    """The data arguments of `run`, by name.

    Attributes:
        x, y, sample_weight: As `fit` takes them.
        validation_data: None with `validation_split`.
        test_data: None if there are none.
    """

    x: Any
    y: Any
    sample_weight: Any
    validation_data: Any
    validation_split: float
    test_data: Any

    @property
    def fit_args(self) -> tuple[Any, ...]:
        return (self.x,) if self.y is None else (self.x, self.y)

    @property
    def parts(self) -> dict[str, Any]:
        """The arrays and data sets by the name of their argument."""
        named = {
            "x": self.x,
            "y": self.y,
            "sample_weight": self.sample_weight,
            "validation_data": self.validation_data,
            "test_data": self.test_data,
        }
        return {name: part for name, part in named.items() if part is not None}


def check_data(data: FitData) -> list[str]:
    """Refuses data that a study cannot use; returns notes for the user.

    Raises:
        InputError: Names the argument and what to change.
    """
    if data.x is None:
        raise InputError("`x` must hold the training data. Received: x=None")
    for name, part in data.parts.items():
        for array in _arrays_in(part):
            if array.ndim == 0 or len(array) == 0:
                raise InputError(
                    f"`{name}` must hold at least one example. Received: an array of shape "
                    f"{array.shape}"
                )
            if array.dtype.kind == "O" and not isinstance(array.flat[0], str | bytes):
                raise InputError(
                    f"`{name}` must hold numbers or strings. Received: objects, the first of type "
                    f"{type(array.flat[0]).__name__}. Convert them, as by astype('float32')"
                )
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                n_bad = int((~np.isfinite(array)).sum())
                raise InputError(
                    f"`{name}` must be finite. Received: {n_bad} values that are NaN or infinite. "
                    "Remove or impute them first"
                )
        lengths = {len(array) for array in _arrays_in(part)}
        if len(lengths) > 1:
            raise InputError(
                f"`{name}` must hold arrays of the same length. Received: lengths {sorted(lengths)}"
            )
    n_x, n_y = _n_rows(data.x), _n_rows(data.y)
    if n_x is not None and n_y is not None and n_x != n_y:
        raise InputError(
            f"`x` and `y` must have the same length. Received: {n_x} and {n_y} examples"
        )
    if data.validation_data is None and not 0 < data.validation_split < 1:
        raise InputError(
            "`validation_data`, or a `validation_split` above 0 and below 1, must be given: the "
            "search compares its trials on these data. Received: "
            f"validation_split={data.validation_split}"
        )
    if data.validation_data is None and n_x is None:
        raise InputError(
            "`validation_data` must be given if `x` is not an array. Received: "
            f"validation_split={data.validation_split}, x={type(data.x).__name__}"
        )
    return _check_overlap(data)


def _check_overlap(data: FitData) -> list[str]:
    """Finds rows that are in two of the training, validation and test data."""
    rows = {"x": data.x}
    for name in ("validation_data", "test_data"):
        part = getattr(data, name)
        rows[name] = part[0] if isinstance(part, tuple) else None
    rows = {name: np.asarray(part) for name, part in rows.items() if _is_array(part)}

    @cache
    def digests_of(name: str) -> list[bytes]:
        return digest_rows(rows[name])

    notes = []
    for name, other in (
        ("test_data", "x"),
        ("validation_data", "x"),
        ("test_data", "validation_data"),
    ):
        if name not in rows or other not in rows:
            continue
        some, others = rows[name], rows[other]
        if some.nbytes + others.nbytes > _MAX_BYTES or some.shape[1:] != others.shape[1:]:
            continue
        if some.dtype != others.dtype:
            continue
        n_shared = count_shared(digests_of(name), digests_of(other))
        if n_shared > _MOST_SHARED * len(some):
            raise InputError(
                f"`{name}` must hold examples that are not in `{other}`. Received: {n_shared} of "
                f"{len(some)} rows are in both. Split the data before you train"
            )
        if n_shared:
            notes.append(f"{n_shared} of {len(some)} rows of `{name}` are in `{other}` too.")
    return notes


def name_of_loss(loss: Any) -> Any:
    """The name of a compiled loss; not a string if the model has several losses."""
    return loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))


def check_labels(data: FitData, loss: Any) -> None:
    """Refuses validation and test labels that the training data lack.

    Raises:
        InputError: Names the argument and the classes.
    """
    if "sparse" not in str(name_of_loss(loss)) or not _is_array(data.y):
        return
    known = set(np.unique(data.y).tolist())
    for part in ("validation_data", "test_data"):
        given = getattr(data, part)
        if isinstance(given, tuple) and len(given) > 1 and _is_array(given[1]):
            unknown = sorted(set(np.unique(given[1]).tolist()) - known)
            if unknown:
                raise InputError(
                    f"`{part}` must have only labels that `y` has too. Received: labels "
                    f"{', '.join(map(str, unknown[:5]))}, which `y` lacks"
                )


def probe_arm(build: Callable[..., keras.Model], arm: Arm, seed: int, data: FitData) -> Probe:
    """Builds an arm's model once and checks it.

    Raises:
        InputError: Says what `build` must do.
    """
    hypermodel, hp = ArmModel(build, arm), keras_tuner.HyperParameters()
    made: list[Rectifier] = []
    where = f"in arm {arm.name!r}"

    def build_once() -> keras.Model:
        rectifier = hypermodel.make_rectifier(hp)
        made.append(rectifier)
        model = build(hp, rectifier)
        if not isinstance(model, keras.Model):
            raise InputError(f"`build` must return a keras.Model. Received: {model!r} {where}")
        return model

    model = Trainer().build(build_once, seed)
    if not model.compiled:
        raise InputError(
            f"`build` must return a compiled model: call model.compile(...) in it. Received: a "
            f"model without loss and optimizer {where}"
        )
    if not made[-1].n_made:
        raise InputError(
            "`build(hp, rectifier)` must make its activations by `rectifier()`. Received: a build "
            f"that never calls it {where}, so all arms would be the same"
        )
    if not any(one.name == "learning_rate" for one in hp.space):
        asked = ", ".join(one.name for one in hp.space) or "nothing"
        raise InputError(
            "`build(hp, rectifier)` must ask for the learning rate: "
            "hp.Float('learning_rate', 1e-4, 1e-1, sampling='log'). Received: a build that asks "
            f"for {asked} {where}"
        )
    if not model.built:
        batch = _first_batch(data)
        model.build(keras.tree.map_structure(lambda a: (None, *a.shape[1:]), batch[0]))
    metrics = _names_of_metrics(model, data, where)
    return Probe(
        space=list(hp.space),
        digest=_digest_of_model(model),
        n_parameters=_count_shared_weights(model),
        n_products=_count_products(model),
        metrics=metrics,
        loss=model.loss,
    )


def check_space(probes: dict[str, Probe]) -> None:
    """Refuses infinite ranges, and nets that differ in more than the rectifier.

    Raises:
        InputError: Names arm and hyperparameter.
    """
    for arm, probe in probes.items():
        for one in probe.space:
            ends = [getattr(one, name, 0) for name in ("min_value", "max_value")]
            if not all(abs(float(end)) < 1e30 for end in ends):
                raise InputError(
                    f"`build` must ask `hp` for finite ranges below 1e30. Received: {one.name} "
                    f"from {ends[0]:g} to {ends[1]:g} in arm {arm!r}"
                )
    counts = {name: probe.n_parameters for name, probe in probes.items()}
    first = next(iter(counts))
    for name, count in counts.items():
        if count != counts[first]:
            raise InputError(
                "`build` must return the same net for every arm, except for the rectifier. "
                f"Received: {counts[first]:,} weights outside of the rectifiers in arm {first!r} "
                f"and {count:,} in arm {name!r}, with the same hyperparameters"
            )


def check_objective(objective: keras_tuner.Objective, probes: dict[str, Probe]) -> None:
    """Refuses a metric that `fit` will not log.

    Raises:
        InputError: Lists the metrics that there are.
    """
    for arm, probe in probes.items():
        known = [f"val_{name}" for name in probe.metrics]
        if objective.name not in known:
            raise InputError(
                f"`objective` must be a metric that `fit` logs: {', '.join(known)}. Received: "
                f"objective={objective.name!r} in arm {arm!r}. Add it to model.compile(metrics=...)"
            )


def digest_data(data: FitData) -> dict[str, str]:
    """A digest of every argument: all rows of arrays, the element spec or type of data sets."""
    digests = {}
    for name, part in data.parts.items():
        digest = hashlib.sha256()
        arrays = _arrays_in(part)
        for array in arrays:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
        if not arrays:
            spec = getattr(part, "element_spec", type(part).__name__)
            digest.update(str(spec).encode())
        digests[name] = digest.hexdigest()[:32]
    return digests


def sample_of(data: FitData, n: int) -> Any:
    """Inputs of the first validation examples, to count dead units on; None if unknown."""
    part = data.validation_data
    if part is None:
        n_rows = _n_rows(data.x)
        assert n_rows is not None
        start = int(n_rows * (1 - data.validation_split))
        return keras.tree.map_structure(lambda a: np.asarray(a[start : start + n]), data.x)
    if isinstance(part, tuple):
        return keras.tree.map_structure(lambda a: np.asarray(a[:n]), part[0])
    if isinstance(part, keras.utils.PyDataset):
        batches: list[Any] = []
        for i in range(part.num_batches or 0):
            batches.append(part[i][0])
            if sum(len(keras.tree.flatten(b)[0]) for b in batches) >= n:
                break
    elif hasattr(part, "element_spec"):
        batches, n_rows = [], 0
        for batch in part:
            inputs = batch[0] if isinstance(batch, tuple) else batch
            batches.append(keras.tree.map_structure(np.asarray, inputs))
            n_rows += len(keras.tree.flatten(batches[-1])[0])
            if n_rows >= n:
                break
    else:
        return None
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts)[:n], *batches)


def _names_of_metrics(model: Any, data: FitData, where: str) -> list[str]:
    x, y, weights = _first_batch(data)
    model.run_eagerly = True  # compiling takes longer than one batch
    try:
        found = model.test_on_batch(x, y, sample_weight=weights, return_dict=True)
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"`build` returned a model {where} that cannot be evaluated on the first examples of "
            f"the data: {error}"
        ) from error
    except Exception as error:
        # TensorFlow's own errors, such as for a label outside of the classes.
        if type(error).__module__.split(".")[0] not in ("tensorflow", "jaxlib", "torch"):
            raise
        raise InputError(
            f"`build` returned a model {where} that cannot be evaluated on the first examples of "
            f"the data: {str(error).splitlines()[0]}"
        ) from error
    return list(found)


def _first_batch(data: FitData) -> tuple[Any, Any, Any]:
    if _n_rows(data.x) is not None:
        parts: Any = keras.tree.map_structure(
            lambda a: None if a is None else np.asarray(a[:2]),
            (data.x, data.y, data.sample_weight),
        )
        return parts
    if isinstance(data.x, keras.utils.PyDataset):
        batch: Any = data.x[0]
    else:
        batch = next(iter(data.x))
        if hasattr(data.x, "element_spec"):
            batch = keras.tree.map_structure(np.asarray, batch)
    x, *rest = batch if isinstance(batch, tuple | list) else (batch,)
    y, weights = (*rest, None, None)[:2]
    return x, y, weights


def _digest_of_model(model: Any) -> str:
    digest = hashlib.sha256()
    for variable in model.variables:
        digest.update(f"{tuple(variable.shape)}{variable.dtype}".encode())
        digest.update(np.asarray(keras.ops.convert_to_numpy(variable)).tobytes())
    optimizer = model.optimizer.get_config()
    optimizer.pop("learning_rate", None)
    optimizer.pop("name", None)
    digest.update(repr(sorted((k, str(v)) for k, v in optimizer.items())).encode())
    return digest.hexdigest()[:32]


def _count_shared_weights(model: Any) -> int:
    """Trainable weights, without a rectifier's own, such as the slopes of a PReLU."""
    own = {
        id(v) for layer in layers_of(model) if find_entry(layer) is not None for v in layer.weights
    }
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables if id(v) not in own)


def chance_accuracy(data: FitData) -> float | None:
    """Accuracy on validation data of a model that always names the most common class."""
    y, held_out = data.y, data.validation_data
    if isinstance(held_out, tuple | list) and len(held_out) > 1:
        y = held_out[1]
    elif held_out is not None:
        return None
    if not _is_array(y):
        return None
    labels = np.asarray(y)
    if data.validation_data is None:
        labels = labels[int(len(labels) * (1 - data.validation_split)) :]
    if labels.ndim > 1 and labels.shape[-1] > 1:
        labels = labels.argmax(-1)
    if not len(labels):
        return None
    return float(np.unique(labels, return_counts=True)[1].max() / labels.size)


def _count_products(model: Any) -> int:
    """Multiplications: the size of every kernel, times the places where it is used."""
    n_products = 0
    for layer in layers_of(model):
        try:
            shape = layer.output.shape
        except (AttributeError, ValueError):  # a subclassed model, or several outputs
            shape = ()
        n_places = math.prod(size or 1 for size in shape[1:-1])
        own = layer.weights if len(layers_of(layer)) == 1 else ()  # else its layers are counted
        n_products += n_places * sum(math.prod(v.shape) for v in own if len(v.shape) > 1)
    return n_products


def _arrays_in(part: Any) -> list[np.ndarray]:
    leaves = keras.tree.flatten(part)
    return [np.asarray(leaf) for leaf in leaves if _is_array(leaf)]


def _is_array(thing: Any) -> bool:
    return isinstance(thing, np.ndarray) or (
        hasattr(thing, "__array__") and hasattr(thing, "shape") and not callable(thing)
    )


def _n_rows(part: Any) -> int | None:
    arrays = [leaf for leaf in keras.tree.flatten(part) if leaf is not None]
    if not arrays or not all(_is_array(array) for array in arrays):
        return None
    return len(arrays[0])

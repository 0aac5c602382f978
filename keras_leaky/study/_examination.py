"""The examination of a retrained model: its test score and its dead units."""

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_leaky.diagnostics import NanPreActivation, dead_units
from keras_leaky.diagnostics.report import DeadUnitReport
from keras_leaky.storage import write_errors
from keras_leaky.tuning import Trainer

N_DEAD_UNIT_EXAMPLES = 2000  # the first of the validation data
_TEMPORARY = "the temporary folder (environment variable TMPDIR)"
_NO_RECTIFIERS = ("sigmoid", "hard_sigmoid", "tanh", "softmax", "softplus")  # outputs and gates


@dataclass(frozen=True)
class Point:
    """A point of the search space to train again.

    Attributes:
        stage: finalist or final.
        values: Values of the hyperparameters, by name.
    """

    stage: str
    trial_id: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Examined:
    """Results of examining the model of a final retraining.

    Attributes:
        test_score: None without test data.
        test_examples: The metric of every test example, if the metric is their mean; else None.
        dead_units: Report on the rectifier layers; None if nothing could be counted.
        model: Content of a .keras file; None if the model cannot be saved.
        problem: Why the model cannot be saved; empty if it can.
    """

    test_score: float | None
    test_examples: np.ndarray | None
    dead_units: DeadUnitReport | None
    model: bytes | None
    problem: str


@dataclass(frozen=True)
class Examination:
    """Function of a trained model, its point and its history. It travels to workers.

    Attributes:
        build: Function from the values of the hyperparameters to a new model.
        metric: Name of the metric that is tested.
        test_data: As `fit` takes `validation_data`, or None.
        sample: Inputs to count dead units on, or None.
        batch_size: Batch size for arrays.
    """

    build: Callable[[dict[str, Any]], keras.Model]
    metric: str
    test_data: Any
    sample: Any
    batch_size: int

    def __call__(self, model: keras.Model, point: Point, history: Any) -> Examined | None:
        if point.stage != "final":
            return None
        score, examples = None, None
        if self.test_data is not None:
            score, examples = evaluate(model, self.test_data, self.metric, self.batch_size)
        report = _count_dead_units(model, self.sample)
        content, problem = _save(model, partial(self.build, point.values))
        return Examined(score, examples, report, content, problem)


def evaluate(
    model: Any, data: Any, metric: str, batch_size: int
) -> tuple[float, np.ndarray | None]:
    """The metric of a model on data, and of every example if it is a mean over examples.

    Keras sums up in float32. If each example has a value, the score is their mean in float64: an
    accuracy is then exactly a whole number of examples.
    """
    quiet: Any = 0  # Keras's annotation knows "auto" alone
    if isinstance(data, tuple) and len(data) == 2 and not keras.tree.is_nested(data[1]):
        function = _function_of_examples(model, metric)
        if function is not None:
            with _without_notes_of_tracing():
                predictions = model.predict(data[0], batch_size=batch_size, verbose=quiet)
            labels: Any = keras.ops.convert_to_tensor(data[1])
            outputs: Any = keras.ops.convert_to_tensor(predictions)
            if len(labels.shape) < len(outputs.shape) and not _is_sparse(metric, function):
                labels = keras.ops.expand_dims(labels, -1)
            values = np.asarray(keras.ops.convert_to_numpy(function(labels, outputs)), "float64")
            values = values.reshape(len(predictions), -1).mean(axis=1)
            return float(values.mean()), values
    x, *rest = data if isinstance(data, tuple) else (data,)
    y, weights = (*rest, None, None)[:2]
    arguments = {} if y is None else {"y": y, "sample_weight": weights, "batch_size": batch_size}
    with _without_notes_of_tracing():
        found: Any = model.evaluate(x, **arguments, verbose=quiet, return_dict=True)
    return float(found[metric]), None


@contextlib.contextmanager
def _without_notes_of_tracing() -> Iterator[None]:
    """TensorFlow warns of a function that is traced often; here each model is traced once."""

    def is_other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def _function_of_examples(model: Any, metric: str) -> Any:
    """Function `(labels, predictions)` to the metric of every example; None if there is none."""
    if metric == "loss":
        return None  # the total loss has regularization and output weights too
    found = [m for m in _flatten_metrics(model.metrics) if m.name == metric]
    if len(found) != 1 or not isinstance(found[0], keras.metrics.MeanMetricWrapper):
        return None
    # Keras has no public access to the function of a metric that is a mean over examples.
    function, arguments = getattr(found[0], "_fn", None), getattr(found[0], "_fn_kwargs", {})
    return None if function is None else partial(function, **arguments)


def _flatten_metrics(metrics: Any) -> list[Any]:
    """Metrics, also those within `CompileMetrics`, which has them as `metrics`."""
    found = []
    for one in metrics:
        inner = getattr(one, "metrics", None)
        found += _flatten_metrics(inner) if inner else [one]
    return found


def _is_sparse(metric: str, function: Any) -> bool:
    return "sparse" in metric or "sparse" in getattr(function.func, "__name__", "")


def _count_dead_units(model: keras.Model, sample: Any) -> DeadUnitReport | None:
    if sample is None:
        return None
    # A net of NaN has no dead units to count, and one without activations no units.
    with contextlib.suppress(NanPreActivation, ValueError):
        report = dead_units(model, sample)
        layers = tuple(units for units in report if units.kind not in _NO_RECTIFIERS)
        return replace(report, layers=layers)
    return None


def _save(trained: keras.Model, build: Callable[[], keras.Model]) -> tuple[bytes | None, str]:
    """The content of a .keras file of a model, without its optimizer and loss."""
    try:
        model = Trainer().copy(trained, build)
        model.compiled = False  # else loading would need the user's own schedule or loss
        with write_errors(_TEMPORARY), tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            model.save(path)
            return path.read_bytes(), ""
    except OSError:
        raise
    except Exception as error:  # a user's own config may raise anything
        return None, f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"

"""Finding the dead units of a model."""

import contextlib
import numbers
import warnings
from typing import Any

import keras
import numpy as np

from keras_leaky.diagnostics._activations import find_activations, parts_of
from keras_leaky.diagnostics._batches import batches, n_samples_of
from keras_leaky.diagnostics._tally import Tally
from keras_leaky.diagnostics._watching import watching
from keras_leaky.diagnostics.report import DeadUnitReport


class NanPreActivation(ValueError):
    """A pre-activation is NaN: the model has diverged, or the data hold NaN."""


def dead_units(
    model: keras.Model,
    data: Any,
    *,
    batch_size: int = 256,
    per_element: bool = False,
    tau: float = 0.025,
) -> DeadUnitReport:
    """Finds the dead units of a model, and measures how active the others are.

    The model runs on a sample in inference mode, and the inputs of its activations are measured.
    Activations are layers (`ReLU`, `LeakyReLU`, `Activation`), functions of `keras.ops` and
    `keras.activations` in functional models, and the argument `activation` of any layer. Nested
    models, wrappers and subclassed models are covered. Softmax is left out. So are activations that
    your own layer computes without an activation layer or an attribute `activation`.

    - *unit*: a feature of a dense layer or a channel of a convolution, at all its positions. The
      units of a layer that is used several times count once, active if they are in any use.
    - *pre-activation*: the number that the activation is applied to.
    - *active*: a pre-activation that is positive; for a rectifier with a threshold, above it.
    - *active fraction*: the fraction of a unit's pre-activations that are active.
    - *inactive*: no pre-activation in the sample is active.
    - *dead*: the derivative of the activation is 0 at every pre-activation in the sample, so the
      unit gets no gradient. The side does not matter: a ReLU6 whose inputs are all above 6 is
      active and dead. Nor does the reason: an exponential unit is dead if its derivative is 0 in
      the precision of the computation. A leaky unit may be inactive, but is not dead.
    - *always on*: all pre-activations are active. A unit of a rectifier without a cap is linear.
    - *dormant*: the mean magnitude of the output is at most `tau` times the layer's mean of these
      magnitudes (Sokar et al.).

    A unit that is inactive on a sample may be active elsewhere: the printed report says how often.

    Derivatives come from the backend's automatic differentiation, also for your own functions. They
    are the derivatives of training, at the pre-activations of inference. The hardware may treat
    float32 and bfloat16 numbers below about 1e-38 as 0.

    Args:
        model: `keras.Model`. It is not changed.
        data: The sample, as the model takes it: an array, a list or dict of arrays for several
            inputs, or an iterable of batches (`tf.data.Dataset`, `keras.utils.PyDataset`), each
            `x`, `(x, y)` or `(x, y, sample_weight)`.
        batch_size: Samples per batch if `data` are arrays, at least 1. It changes memory and time,
            not the counts. Defaults to 256.
        per_element: Whether every element of an activation's input is its own unit, such as each
            pixel of a channel. Defaults to False.
        tau: Threshold of dormant units, in [0, 1). Defaults to 0.025.

    Returns:
        `DeadUnitReport`.

    Raises:
        ValueError: If an argument has the wrong type or is out of range; if `data` are empty or
            have different lengths; if the model has no activation.
        NanPreActivation: If a pre-activation is NaN. It is a ValueError.

    Example:

    >>> import keras, numpy as np
    >>> from keras_leaky.diagnostics import dead_units
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu", name="hidden")])
    >>> kernel, bias = model.get_weights()
    >>> bias[2] = -100.0
    >>> model.set_weights([kernel, bias])
    >>> report = dead_units(model, np.random.default_rng(0).normal(size=(1000, 4)))
    >>> report["hidden"].is_dead.nonzero()[0]
    array([2])
    >>> report.dead_fraction
    0.125

    References:
        Maas, Hannun and Ng, 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic
        Models", section 2. Sokar, Agarwal, Castro and Evci, 2023, "The Dormant Neuron Phenomenon
        in Deep Reinforcement Learning", definition 3.1 (the score is `relative_output`).
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: model={model!r}")
    if not isinstance(per_element, bool):
        raise ValueError(f"`per_element` must be True or False. Received: {per_element=}")
    is_number = isinstance(tau, numbers.Real) and not isinstance(tau, bool)
    if not (is_number and 0 <= tau < 1):
        raise ValueError(f"`tau` must be a number of at least 0 and below 1. Received: {tau=}")
    tallies = {}

    def record(site, origin, x, y, apply):
        if _is_traced(x):
            warnings.warn(
                f"Layer {site.name!r} runs in a compiled loop, so its units are left out. Pass "
                "`unroll=True` to the layer to count them.",
                stacklevel=2,
            )
        elif tuple(x.shape) == tuple(y.shape):  # else it is not elementwise
            # Behind code between layers the same origin need not mean the same units.
            guess = tuple(x.shape[1:]) if origin.is_guess else None
            key = id(site), id(origin.layer), guess
            if key not in tallies:
                tallies[key] = Tally(site, origin, per_element)
            tallies[key].add(x, y, n_copies, apply)

    n_samples, n_copies, sites, parts = 0, 1, [], []
    for batch in batches(data, batch_size):
        n_samples += n_samples_of(batch)
        # TensorFlow multiplies a single row by another kernel, which rounds differently.
        n_copies = 2 if n_samples_of(batch) == 1 and not _has_fixed_batch(model) else 1
        if n_copies == 2:
            batch = keras.tree.map_structure(lambda a: np.repeat(a, 2, axis=0), batch)
        if not sites:
            if not model.built:
                model(batch, training=False)
            parts = parts_of(model)
            sites = find_activations(parts)
        with _states_kept(parts), watching(sites, parts, record):
            model(batch, training=False)
    if not tallies:
        raise ValueError(f"`model` must apply an activation. Received: model={model!r}")
    for tally in tallies.values():
        if tally.has_nan:
            raise NanPreActivation(
                f"Pre-activations of layer {tally.site.name!r} are NaN: the model has diverged, or "
                "`data` hold NaN"
            )
    names = _unique_names(list(tallies.values()))
    layers = [tally.finish(name, tau) for name, tally in zip(names, tallies.values(), strict=True)]
    return DeadUnitReport(n_samples, tuple(layers))


def _has_fixed_batch(model):
    return any(x.shape[0] is not None for x in getattr(model, "inputs", None) or [])


@contextlib.contextmanager
def _states_kept(parts):
    """Restores the states of stateful recurrent layers."""
    layers = [part for part in parts if isinstance(part, keras.layers.RNN) and part.stateful]
    variables: Any = [v for layer in layers for v in keras.tree.flatten(layer.states)]
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _is_traced(x):
    """Whether JAX is compiling: Keras's recurrent layers run in a scan there."""
    return keras.backend.backend() == "jax" and "Tracer" in type(x).__name__


def _unique_names(tallies):
    """The names of the layers; a layer that activates the units of several gets their names too."""
    names = []
    for tally in tallies:
        name = tally.site.name
        if sum(other.site is tally.site for other in tallies) > 1:
            guess = "after " if tally.origin.is_guess else ""
            name = f"{name} ({guess}{getattr(tally.origin.layer, 'name', None)})"
        n_before = sum(name == other.partition("#")[0] for other in names)
        names.append(f"{name}#{n_before + 1}" if n_before else name)
    return names

"""`load_model`: model files of Keras 3 and Keras 2, and what to do where one cannot be loaded."""

import os
import tempfile
from typing import Any

import keras

from keras_leaky.saving.failures import explain, explain_other, explain_training
from keras_leaky.saving.files import (
    check_references,
    check_weights,
    damage_named,
    is_packed,
    read_configs,
    write_copy,
)
from keras_leaky.saving.keras2 import repair_model
from keras_leaky.saving.keras2_meanings import (
    check_kernels,
    freeze_inner_layers,
    keep_functions,
)
from keras_leaky.saving.keras2_training import repair_training


def load_model(
    path: str | os.PathLike[str],
    custom_objects: dict[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Load a model that Keras 3 or Keras 2 saved.

    As `keras.saving.load_model`, and it also understands what Keras 2 wrote of the layers that
    this package is about:

    - `LeakyReLU`, `PReLU` and `ELU` with `alpha` as a number or an array, and `ThresholdedReLU`, as
      layers and as the `activation` of other layers. They come back as the layers of
      `keras.layers` that do the same (`ReLU(threshold=theta)` for `ThresholdedReLU`), so that the
      model, saved again, needs nothing but Keras. A `LeakyReLU` with a negative slope, which
      `keras.layers` refuses, comes back as `keras_leaky.layers.LeakyReLU`;
    - `hard_sigmoid`, which is another function in Keras 3. It comes back as that of Keras 2, and
      the model, saved again, needs this package;
    - arguments that Keras 3 dropped, where they have no effect, and mixed precision. An argument
      that Keras 3 cannot express is refused by name;
    - the Sequential models of Keras 2.0 to 2.3, models inside models, functional models in `.keras`
      files, HDF5 files that are called `.keras`, as TensorFlow up to 2.12 saved them, and how the
      model was compiled. The state of an optimizer is lost, as in Keras 3.

    The file is only read: one that needs repair, or that somebody packed again, is copied to a
    temporary folder first.

    A file may come from an untrusted source. Before Keras reads it, its size is compared with the
    size that it declares. Archives with paths are refused, and HDF5 files with links to other
    files. In safe mode a config may name functions of models alone. SECURITY.md of the repository
    says what remains: above all, a config can ask for layers of any size.

    Args:
        path: str or `os.PathLike`: a `.keras` or `.h5` file, by content, whatever its name. What
            else `keras.saving.load_model` takes (folders, `hf://...`) goes to it as it is.
        custom_objects: dict of names to classes and functions, or None. A class that takes the
            place of one of Keras, as it can in `.h5` files, reads its config itself. Defaults to
            None.
        compile: bool. Whether to compile the model as it was when saved. Defaults to True.
        safe_mode: bool. Whether to refuse files with Python lambdas and with functions that are no
            part of a model. Defaults to True.

    Returns:
        A Keras model.

    Raises:
        FileNotFoundError: If there is nothing at `path`.
        ValueError: In one sentence with the class and the remedy, if the file needs a class or
            function that is not known; if it is damaged, unsafe, holds weights alone or is no
            model of Keras. The error of Keras, where there is one, is its cause.

    Example:

    >>> import keras, keras_leaky, os, tempfile
    >>> model = keras.Sequential([keras.Input((3,)), keras_leaky.layers.LeakyReLU(0.2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.keras")
    ...     model.save(path)
    ...     again = keras_leaky.load_model(path)
    >>> again.layers[0].negative_slope
    0.2
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"`path` must be a str or os.PathLike. Received: path={path!r}")
    path = os.fsdecode(path)
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        raise ValueError(
            "`path` must not be a SavedModel, which Keras 3 does not load. Load it in Keras 2 "
            "(`pip install tf_keras`) and save it as `model.keras`, or call it as the layer "
            "`keras.layers.TFSMLayer(path, call_endpoint='serving_default')`. "
            f"Received: path={path!r}"
        )
    options = {"custom_objects": custom_objects, "compile": compile, "safe_mode": safe_mode}
    if "://" in path:
        return _load(path, path, {"model": {}, "training": None}, options)
    suffixes, saved_by, configs = read_configs(path)
    if safe_mode:
        check_references(path, configs, custom_objects)
    if not compile:  # nor is there a reason to read what it says
        model = {key: value for key, value in configs["model"].items() if key != "compile_config"}
        configs = {"model": model, "training": None}
    repaired = _repair(path, saved_by, configs, custom_objects)
    if not suffixes:
        if repaired != configs:
            raise ValueError(
                "`path` must not be a folder with a model of Keras 2. Pack the files in it into a "
                f"zip archive `model.keras`, and load that. Received: path={path!r}"
            )
        return _load(path, path, configs, options)
    if repaired == configs and path.endswith(suffixes) and not is_packed(path):
        check_weights(path, path)
        return _load(path, path, configs, options)
    with tempfile.TemporaryDirectory(prefix="keras_leaky-") as folder:
        copy = os.path.join(folder, "model" + suffixes[0])
        write_copy(path, copy, repaired)
        check_weights(path, copy)
        return _load(copy, path, repaired, options)


def _repair(path, saved_by, configs, custom_objects):
    with damage_named(path, (LookupError, TypeError, AttributeError, RecursionError)):
        model = configs["model"]
        check_kernels(path, saved_by, model)
        model = keep_functions(path, saved_by, model, custom_objects)
        model = freeze_inner_layers(saved_by, model)
        return {
            "model": repair_model(model, custom_objects),
            "training": repair_training(configs["training"], custom_objects),
        }


def _load(source, path, configs, options):
    """What Keras loads from `source`; its complaints in one sentence about `path`."""
    try:
        return _trainable(keras.saving.load_model(source, **options), source)
    except Exception as error:
        sentence = _explain(error, source, path, configs, options)
        if sentence is None:  # nobody expected this one
            raise
        raise ValueError(sentence) from error


def _trainable(model, source):
    """`model` of an .h5 file with an optimizer that takes its variables.

    Keras 3.15 builds that for no variables at all, and then training fails.
    """
    if source.endswith((".h5", ".hdf5")) and getattr(model, "optimizer", None) is not None:
        model.optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
    return model


def _explain(error, source, path, configs, options):
    custom_objects = options["custom_objects"]
    if isinstance(error, TypeError | ValueError):
        if options["compile"] and _loads_uncompiled(source, options):
            return explain_training(error, path, configs, custom_objects)
        sentence = explain(error, path, configs["model"], custom_objects)
        if sentence:
            return sentence
    # A fault of a class of the caller's own is for the caller to see.
    return None if custom_objects else explain_other(error, path)


def _loads_uncompiled(source, options):
    try:
        keras.saving.load_model(source, **{**options, "compile": False})
    except Exception:  # the first error is the one to speak of
        return False
    return True

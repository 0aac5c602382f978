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
    """Loads a model that Keras 3 or Keras 2 saved.

    It works like `keras.saving.load_model`, and also reads these parts of Keras 2 files:

    - `LeakyReLU`, `PReLU` and `ELU` with `alpha` as a number or an array, and `ThresholdedReLU`, as
      layers and as the `activation` of other layers. They become the equal layers of `keras.layers`
      (`ReLU(threshold=theta)` for `ThresholdedReLU`), so that the model, saved again, needs only
      Keras. `keras.layers` refuses a `LeakyReLU` with a negative slope: it becomes
      `keras_leaky.layers.LeakyReLU`.
    - `hard_sigmoid`, which is another function in Keras 3. It becomes the function of Keras 2, and
      the model, saved again, needs this package.
    - Arguments that Keras 3 dropped, if they have no effect, and mixed precision. An argument that
      Keras 3 cannot express is refused by name.
    - Sequential models of Keras 2.0 to 2.3, models inside models, functional models in `.keras`
      files, HDF5 files that are called `.keras` (from TensorFlow up to 2.12), and the arguments of
      `compile`. The state of an optimizer is lost, as in Keras 3.

    The file is never changed. If it needs repair, or if somebody packed it again, it is copied to a
    temporary folder first.

    A file may come from an untrusted source. Before Keras reads it, its size is compared with the
    size that it declares. Archives with paths are refused, and so are HDF5 files with links to
    other files. In safe mode a config may only name functions that belong to models. SECURITY.md of
    the repository lists the remaining risks: above all, a config can ask for layers of any size.

    Args:
        path: str or `os.PathLike`: a `.keras` or `.h5` file, recognized by its content, not by its
            name. Other paths of `keras.saving.load_model` (folders, `hf://...`) are passed on.
        custom_objects: dict of names to classes and functions, or None. A class that replaces a
            class of Keras, which is possible in `.h5` files, reads its config itself. Defaults to
            None.
        compile: bool. Whether to compile the model as when it was saved. Defaults to True.
        safe_mode: bool. Whether to refuse files with Python lambdas and with functions that do not
            belong to a model. Defaults to True.

    Returns:
        A Keras model.

    Raises:
        FileNotFoundError: If there is nothing at `path`.
        ValueError: If the file needs an unknown class or function; if it is damaged, unsafe, holds
            only weights, or is not a model of Keras. One sentence names the class and the remedy.
            If Keras raised an error, it is the cause.

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
    if not compile:  # there is no reason to read its config
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
    """Loads `source` with Keras; turns its errors into one sentence about `path`."""
    try:
        return _trainable(keras.saving.load_model(source, **options), source)
    except Exception as error:
        sentence = _explain(error, source, path, configs, options)
        if sentence is None:  # an unexpected error
            raise
        raise ValueError(sentence) from error


def _trainable(model, source):
    """`model` of an .h5 file with an optimizer that takes its variables.

    Keras 3.15 builds the optimizer without variables, and then training fails.
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
    # The caller must see the error of their own class.
    return None if custom_objects else explain_other(error, path)


def _loads_uncompiled(source, options):
    try:
        keras.saving.load_model(source, **{**options, "compile": False})
    except Exception:  # the first error is the one to report
        return False
    return True

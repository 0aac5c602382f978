"""DATA.npz: arrays of any shape and kind, checked; missing parts are split off.

A file may come from an untrusted source: what it declares is checked before any of it is unpacked
(`keras_leaky.study.npz`).
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from keras_leaky.study._repeats import count_shared, digest_rows
from keras_leaky.study.errors import InputError
from keras_leaky.study.npz import Header, read_arrays

__all__ = ["DataFile", "Part", "Targets", "check_fit", "fits", "read_data", "read_inputs"]

PARTS = ("train", "val", "test")
TEST_FRACTION = 0.2  # of all examples, where the file has no test data
VALIDATION_FRACTION = 0.15  # of the training examples that are left
MOST_KNOWN = 0.1  # of the rows that are split off; every real data set repeats a few
SPLIT_SEED = 0  # whatever --seed, so that every run is judged on the same examples
_LEAST_OF_A_CLASS = 3  # one each for training, validation and test
_MAX_TITLE = 200  # characters
_TITLES = {"train": "training", "val": "validation", "test": "test"}
_LARGEST_PIXEL = 255
# The function of pandas that reads a table.
_READERS = {".csv": "read_csv", ".tsv": "read_table", ".parquet": "read_parquet"}
_READERS |= {".xlsx": "read_excel", ".json": "read_json"}
# Layers behind which the scale of the input does not matter, or that scale it.
_SCALING = ("Rescaling", "Normalization", "BatchNormalization", "LayerNormalization")
_SCALING += ("GroupNormalization", "UnitNormalization", "Embedding", "Lambda", "Discretization")


@dataclass(frozen=True)
class Part:
    """Inputs and targets of one part of the data."""

    x: np.ndarray
    y: np.ndarray

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.x, self.y))

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Targets:
    """The kind of the targets.

    Attributes:
        kind: "classes" are whole numbers, one per example; "one_hot" rows have a 1 at the class;
            "numbers" are real, one or several per example; "other" needs the user's own net.
        labels: Labels of the classes, in order.
        n: Number of classes, or of numbers per example.
    """

    kind: Literal["classes", "one_hot", "numbers", "other"]
    labels: tuple[Any, ...] = ()
    n: int = 0

    @property
    def has_classes(self) -> bool:
        return self.kind in ("classes", "one_hot")


@dataclass(frozen=True)
class DataFile:
    """The data of a study.

    Attributes:
        train, val, test: The parts. String labels are replaced by whole numbers from 0.
        source: Where the data come from, in words.
        notes: Warnings for the user, one sentence each.
    """

    train: Part
    val: Part
    test: Part
    targets: Targets
    source: str
    notes: tuple[str, ...]

    @property
    def parts(self) -> dict[str, Part]:
        return {name: getattr(self, name) for name in PARTS}

    def with_classes_from_0(self) -> "DataFile":
        """The data with the classes as numbers 0, 1, ..., if there are classes."""
        return dataclasses.replace(
            self, **{name: Part(p.x, _classes(p.y, self.targets)) for name, p in self.parts.items()}
        )


def read_data(path: Path) -> DataFile:
    """Reads x_train and y_train, and optionally x_val, y_val, x_test, y_test and `source`.

    Missing parts are split off the training data: stratified by class, or at random for real
    targets. Every run splits off the same examples.

    Raises:
        InputError: Names the file, the array, the rule and what was received.
    """
    _check_file(path)
    names = [f"{letter}_{part}" for part in PARTS for letter in "xy"]
    arrays = read_arrays(
        path, ("x_train", "y_train"), (*names[2:], "source"), lambda h: _check_headers(path, h)
    )
    title = _read_title(path, arrays.pop("source")) if "source" in arrays else path.name
    parts = {}
    for part in PARTS:
        if f"x_{part}" in arrays:
            _check_inputs(path, f"x_{part}", arrays[f"x_{part}"])
            x = arrays[f"x_{part}"]
            parts[part] = Part(x, _check_targets(path, f"y_{part}", arrays[f"y_{part}"]))
    notes: list[str] = []
    targets = _find_targets(path, parts, notes)
    _split_missing(path, parts, targets, notes)
    if targets.kind == "classes" and parts["train"].y.dtype.kind not in "iu":
        parts = {name: Part(p.x, _classes(p.y, targets)) for name, p in parts.items()}
        shown = ", ".join(map(ascii, targets.labels[:5])) + (", ..." if targets.n > 5 else "")
        notes.append(f"The labels {shown} have become the classes 0 to {targets.n - 1}.")
        targets = dataclasses.replace(targets, labels=tuple(range(targets.n)))
    source = title if title == path.name else f"{title}, from {path.name}"
    return DataFile(**parts, targets=targets, source=source, notes=tuple(notes))


def read_inputs(path: Path) -> tuple[str, np.ndarray]:
    """Inputs to examine a trained model on: x_val, else x_test, else x_train.

    Returns:
        The name of the first that is there, and the array.

    Raises:
        InputError: Names the file, the array, the rule and what was received.
    """
    _check_file(path)
    names = ("x_val", "x_test", "x_train")
    found: list[str] = []

    def choose(headers: dict[str, Header]) -> None:
        if not headers:
            raise InputError(f"{path} must hold one of the arrays {', '.join(names)}")
        found.append(next(iter(headers)))
        for name in names:
            if name != found[0]:
                headers.pop(name, None)
        _check_header(path, found[0], headers[found[0]])

    arrays = read_arrays(path, (), names, choose)
    _check_inputs(path, found[0], arrays[found[0]])
    return found[0], arrays[found[0]]


def _check_file(path: Path) -> None:
    try:
        is_there, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise InputError(f"`--data` cannot be read: {error}") from error
    if not is_file:
        what = "which is not a regular file" if is_there else "which does not exist"
        raise InputError(f"`--data` must be an .npz file. Received: --data {path}, {what}")
    reader = _READERS.get(path.suffix.lower())
    if reader:
        raise InputError(
            f"`--data` must be an .npz file. Received: --data {path}. Make one of this table, with "
            f'the name of your target column:\n  python -c "import numpy as np, pandas as pd; '
            f"t = pd.{reader}('{path}'); y = t.pop('TARGET'); "
            f"np.savez('{path.stem}.npz', x_train=t.to_numpy('float32'), y_train=y)\"\n"
            f"  keras-leaky study --data {path.stem}.npz"
        )


def _require(path: Path, holds: Any, name: str, rule: str, received: object) -> None:
    if not holds:
        raise InputError(f"{path}: `{name}` must {rule}. Received: {received}")


def _check_headers(path: Path, headers: Mapping[str, Header]) -> None:
    """Refuses, before it is unpacked, what cannot be data."""
    for part in PARTS:
        x, y = f"x_{part}", f"y_{part}"
        for present, missing in ((x, y), (y, x)):
            if present in headers and missing not in headers:
                raise InputError(f"{path} must hold `{missing}` too, because it holds `{present}`")
        if x not in headers:
            continue
        for name in (x, y):
            _check_header(path, name, headers[name])
        n = headers[x].shape[0]
        _require(
            path, headers[y].shape[0] == n, y, f"have the length of `{x}`, {n:,}",
            f"{headers[y].shape[0]:,} targets",
        )  # fmt: skip
        for name, first in ((x, "x_train"), (y, "y_train")):
            shape, wanted = _shape_of_one(name, headers), _shape_of_one(first, headers)
            rule = f"have the shape of `{first}`, {_with_n(wanted)}"
            _require(path, shape == wanted, name, rule, _with_n(shape))
    if "source" in headers:
        header = headers["source"]
        is_short = header.dtype.kind == "U" and header.dtype.itemsize <= 4 * _MAX_TITLE
        rule = f"be one string of up to {_MAX_TITLE} characters"
        received = f"shape {header.shape}, dtype {header.dtype}"
        _require(path, is_short and header.shape == (), "source", rule, received)


def _shape_of_one(name: str, headers: Mapping[str, Header]) -> tuple[int, ...]:
    """Shape of one example; targets of shape (n, 1) count as (n,)."""
    shape = headers[name].shape[1:]
    return () if shape == (1,) and name.startswith("y_") else shape


def _with_n(shape: tuple[int, ...]) -> str:
    return f"(n, {', '.join(map(str, shape))})" if shape else "(n,)"


def _check_header(path: Path, name: str, header: Header) -> None:
    _require(path, header.shape, name, "have one entry per example", "a single number or string")
    _require(path, header.shape[0] > 0, name, "hold at least one example", f"shape {header.shape}")
    _require(path, 0 not in header.shape, name, "have no axis of length 0", header.shape)
    kinds = "biuf" if name.startswith("x_") else "biufUS"
    rule = "hold numbers" if name.startswith("x_") else "hold numbers or strings"
    _require(path, header.dtype.kind in kinds, name, rule, f"dtype {header.dtype}")
    is_wide = header.dtype.kind == "f" and header.dtype.itemsize > 8
    _require(path, not is_wide, name, "be float64 or narrower", f"dtype {header.dtype}")


def _check_inputs(path: Path, name: str, x: np.ndarray) -> None:
    """Refuses what no net can be trained on."""
    if x.dtype.kind == "f":
        n_bad = x.size - int(np.isfinite(x).sum())
        received = f"{n_bad:,} of {x.size:,} values that are NaN or infinite"
        rule = "be finite: remove such examples, or impute the values"
        _require(path, n_bad == 0, name, rule, received)
        if x.dtype.itemsize == 8:  # a net computes in float32
            most = float(np.finfo(np.float32).max)
            largest = float(max(x.max(), -x.min()))
            _require(path, largest <= most, name, "fit into float32", f"values up to {largest:g}")


def _check_targets(path: Path, name: str, y: np.ndarray) -> np.ndarray:
    y = y.reshape(len(y)) if y.shape[1:] == (1,) else y
    if y.dtype.kind in "US":
        _require(path, y.ndim == 1, name, "hold one string per example", f"shape {y.shape}")
        if y.dtype.kind == "U":
            codes = np.ascontiguousarray(y).view(np.uint32)
            is_text = codes.max() <= 0x10FFFF and not ((codes >= 0xD800) & (codes < 0xE000)).any()
            _require(path, is_text, name, "hold valid text", "invalid characters")
    elif y.dtype.kind == "f":
        n_bad = y.size - int(np.isfinite(y).sum())
        received = f"{n_bad:,} of {y.size:,} values that are NaN or infinite"
        _require(path, n_bad == 0, name, "be finite: remove such examples", received)
    return y


def _read_title(path: Path, source: np.ndarray) -> str:
    """The file's title of its data, which is shown in terminals and on pages."""
    try:
        title = source.item()
    except ValueError:  # no text
        title = ""
    _require(path, title and title.isprintable(), "source", "be printable", ascii(title))
    return title


def _find_targets(path: Path, parts: dict[str, Part], notes: list[str]) -> Targets:
    """Finds the kind of the targets."""
    y = parts["train"].y
    if y.ndim == 1 and y.dtype.kind != "f":
        return _find_classes(path, parts)
    if y.ndim == 1:
        if np.array_equal(y, np.round(y)):
            notes.append(
                f"`y_train` holds whole numbers as {y.dtype}, so the study treats them as amounts. "
                "If they are classes, save them as integers."
            )
        return Targets("numbers", n=1)
    if all(_is_one_hot(part.y) for part in parts.values()):
        return Targets("one_hot", tuple(range(y.shape[1])), y.shape[1])
    is_real = y.dtype.kind == "f" and y.ndim == 2 and not np.isin(y, (0, 1)).all()
    return Targets("numbers", n=y.shape[1]) if is_real else Targets("other")


def _is_one_hot(y: np.ndarray) -> bool:
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf":
        return False
    return bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())


def _find_classes(path: Path, parts: dict[str, Part]) -> Targets:
    y = parts["train"].y
    labels = np.unique(y)
    received = f"only the label {labels[0].item()!a}"
    _require(path, len(labels) > 1, "y_train", "hold at least two classes", received)
    if y.dtype.kind in "iu" and len(labels) > max(20, len(y) / 5):
        raise InputError(
            f"{path}: `y_train` must hold each class several times. Received: {len(labels):,} "
            f"different whole numbers in {len(y):,} examples. If they are amounts, save them as "
            "floats"
        )
    for part in parts:
        kinds = {"b": "bool", "i": "int", "u": "int", "f": "float", "U": "str", "S": "bytes"}
        own, first = (kinds[a.dtype.kind] for a in (parts[part].y, y))
        _require(path, own == first, f"y_{part}", f"hold labels of type {first}, as y_train", own)
        unknown = [ascii(label) for label in np.setdiff1d(parts[part].y, labels)[:5].tolist()]
        rule = "hold labels that `y_train` has too"
        _require(path, not unknown, f"y_{part}", rule, ", ".join(unknown))
    return Targets("classes", tuple(labels.tolist()), len(labels))


def _classes(y: np.ndarray, targets: Targets) -> np.ndarray:
    """The classes as whole numbers from 0, if there are classes."""
    if targets.kind == "one_hot":
        return y.argmax(axis=1)
    if targets.kind == "classes":
        return np.searchsorted(np.asarray(targets.labels), y).astype("int64")
    return y


def _split_missing(path: Path, parts: dict[str, Part], targets: Targets, notes: list[str]) -> None:
    """Holds out validation and test data that the file lacks."""
    for part, fraction in (("test", TEST_FRACTION), ("val", VALIDATION_FRACTION)):
        if part in parts:
            continue
        train = parts["train"]
        n = max(1, round(fraction * len(train)))
        if targets.has_classes:
            n = max(n, targets.n)
            counts = np.bincount(_classes(train.y, targets), minlength=targets.n)
            if counts.min() < 2 or len(train) - n < targets.n:
                rarest = int(counts.argmin())
                raise InputError(
                    f"{path}: `y_train` must have at least {_LEAST_OF_A_CLASS} examples of each "
                    f"class if x_val or x_test is not in the file. Received: {counts[rarest]} left "
                    f"of class {targets.labels[rarest]!a}. Leave that class out, or save x_{part} "
                    f"and y_{part} too"
                )
        elif len(train) < 3:
            raise InputError(
                f"{path}: `x_train` must hold at least {_LEAST_OF_A_CLASS} examples if x_val or "
                f"x_test is not in the file. Received: {len(train)} left"
            )
        parts["train"], parts[part] = _split(train, n, targets)
        n_known = count_shared(*(digest_rows(parts[name].x) for name in (part, "train")))
        if n_known > MOST_KNOWN * n:
            raise InputError(
                f"{path}: `x_train` must hold each row once if x_val or x_test is not in the file. "
                f"Received: {n_known} of {n} rows that were split off are also in the rest. Remove "
                "the repeated rows"
            )
        how = "stratified by class" if targets.has_classes else "at random"
        notes.append(
            f"{path.name} has no x_{part}: {n:,} of its {len(train):,} training examples are held "
            f"out as {_TITLES[part]} data, {how}. Every run holds out the same ones."
        )


def _split(train: Part, n: int, targets: Targets) -> tuple[Part, Part]:
    from sklearn.model_selection import train_test_split

    groups = _classes(train.y, targets) if targets.has_classes else None
    arrays = train_test_split(*train, test_size=n, stratify=groups, random_state=SPLIT_SEED)
    x, x_held, y, y_held = map(np.asarray, arrays)
    return Part(x, y), Part(x_held, y_held)


def check_fit(model: Any, data: DataFile) -> list[str]:
    """Refuses a net that does not fit the data, and notes what looks wrong.

    Args:
        model: A compiled `keras.Model`.

    Returns:
        Notes, a sentence each.

    Raises:
        InputError: Names what to change.
    """
    import keras

    if not isinstance(model, keras.Model):
        return []  # `Study` tells
    _check_shapes(model, data)
    _check_loss(model, data)
    note = _unscaled(model, data.train.x)
    return [note] if note else []


def _check_shapes(model: Any, data: DataFile) -> None:
    shapes = [tuple(one.shape) for one in getattr(model, "inputs", None) or []]
    if len(shapes) > 1:
        raise InputError(
            "`build` must return a net with one input, because DATA.npz holds one `x_train`. "
            f"Received: a net with {len(shapes)} inputs. Use keras_leaky.Study in your own script"
        )
    own = data.train.x.shape
    if shapes and not fits(shapes[0], own):
        raise InputError(
            f"`build` must return a net for inputs of shape {own[1:]}, as `x_train` has them. "
            f"Received: a net for inputs of shape {shapes[0][1:]}"
        )


def fits(wanted: tuple[Any, ...], own: tuple[int, ...]) -> bool:
    """Whether an array of shape `own` fits an input of shape `wanted`; None fits any length."""
    return len(wanted) == len(own) and all(
        w in (None, o) for w, o in zip(wanted[1:], own[1:], strict=True)
    )


def _check_loss(model: Any, data: DataFile) -> None:
    """Refuses a loss and an output layer that do not fit the targets."""
    from keras_leaky.study._checks import name_of_loss

    name = name_of_loss(getattr(model, "loss", None))
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or not isinstance(name, str):
        return  # several outputs or losses: Keras checks them
    n_out, kind = shape[-1], data.targets.kind
    if kind == "numbers":
        if "crossentropy" in name:
            raise InputError(
                f"`build` must compile a loss for real targets, such as 'mse'. Received: {name}, "
                f"and `y_train` of dtype {data.train.y.dtype}. If they are classes, save integers"
            )
        if n_out not in (None, data.targets.n):
            raise InputError(
                "`build` must return a net with one output for each target number of an example, "
                f"{data.targets.n}. Received: {n_out} outputs"
            )
    elif kind == "one_hot":
        if "sparse" in name:
            raise InputError(
                "`build` must compile categorical_crossentropy for one-hot rows. Received: "
                f"{name}. Use that loss, or save one whole number per example in `y_train`"
            )
        if n_out not in (None, data.targets.n):
            raise InputError(
                f"`build` must return a net with {data.targets.n} outputs, one for each class. "
                f"Received: {n_out} outputs"
            )
    elif kind == "classes":
        _check_classes(name, n_out, data.targets.labels)


def _check_classes(loss: str, n_out: int | None, labels: tuple[Any, ...]) -> None:
    smallest, largest = labels[0], labels[-1]
    if "sparse" in loss:
        if n_out is not None and not 0 <= smallest <= largest < n_out:
            raise InputError(
                "`build` must return a net with an output for each label, counted from 0. "
                f"Received: {n_out} outputs, and labels from {smallest} to {largest}"
            )
    elif "categorical_crossentropy" in loss:
        raise InputError(
            "`build` must compile sparse_categorical_crossentropy, because `y_train` has one "
            f"whole number per example. Received: {loss}, which is for one-hot rows"
        )
    elif "binary_crossentropy" in loss and (smallest, largest) != (0, 1):
        raise InputError(
            "`build` must compile binary_crossentropy only for the labels 0 and 1, and "
            f"sparse_categorical_crossentropy for others. Received: labels from {smallest} to "
            f"{largest}"
        )


def _unscaled(model: Any, x: np.ndarray) -> str:
    """A note on pixels from 0 to 255 that go into a net as they are."""
    if x.dtype.kind not in "uif":
        return ""
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and 100 < high <= _LARGEST_PIXEL) or _scales(model):
        return ""
    return (
        f"`x_train` has values from {low:g} to {high:g}, and no layer of the net rescales them: it "
        "will train badly. Divide them by 255, or start the net with keras.layers.Rescaling(1 / "
        "255)."
    )


def _scales(model: Any) -> bool:
    """Whether a layer near the input of a net seems to scale the input."""
    import keras

    for layer in list(getattr(model, "_operations", None) or model.layers)[:6]:
        if isinstance(layer, keras.Model):
            return _scales(layer)
        if not isinstance(layer, keras.layers.Layer):
            return True  # arithmetic, such as x / 255
        if type(layer).__name__ in _SCALING:
            return True
    return False

"""The configs inside model files: reading them, and copying a file with others in their place."""

import contextlib
import json
import os
import shutil
import zipfile

# h5py comes with Keras, which imports it late: so do the functions here.

_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_CONFIG_JSON, _WEIGHTS = "config.json", "model.weights"


def read_configs(path):
    """`(suffixes, {"model": config, "training": config or None})` of a model file, by content.

    `suffixes` are those by which Keras knows a file of that kind. The training config of a `.keras`
    file lies in the config of the model.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"`path` must name a file that exists. Received: path={path!r}")
    with open(path, "rb") as file:
        start = file.read(8)
    if start.startswith(_ZIP):
        suffixes, read = (".keras",), _read_zip
    elif start == _HDF5:
        suffixes, read = (".h5", ".hdf5"), _read_hdf5
    else:
        found = f"begins with {start!r}" if start else "is empty"
        raise _not_a_model(path, f"the file {found}, which is neither")
    configs = read(path)
    if not isinstance(configs["model"], dict) or "class_name" not in configs["model"]:
        raise _not_a_model(path, "the config in the file is not one of a model")
    return suffixes, configs


def write_copy(path, copy, configs):
    """Copy the model file at `path`, with `configs` in the place of its own."""
    write = _write_zip if copy.endswith(".keras") else _write_hdf5
    with damage_named(path):
        write(path, copy, configs)


def _not_a_model(path, reason):
    return ValueError(
        "`path` must be a model in a .keras file (a zip archive) or an .h5 file (HDF5), but "
        f"{reason}. Received: path={path!r}"
    )


@contextlib.contextmanager
def damage_named(path, errors: type[Exception] = zipfile.BadZipFile):
    """Turns `errors` of reading the file at `path` into the sentence that it is damaged."""
    try:
        yield
    except errors as error:
        reason = "the file is damaged or was cut short: copy or download it again"
        raise _not_a_model(path, reason) from error


def _read_zip(path):
    with damage_named(path), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if _CONFIG_JSON not in names or not any(name.startswith(_WEIGHTS) for name in names):
            raise _not_a_model(path, f"the archive lacks {_CONFIG_JSON} or {_WEIGHTS}.*")
        config = archive.read(_CONFIG_JSON)
    return {"model": _decode(path, config), "training": None}


def _read_hdf5(path):
    import h5py

    with damage_named(path, OSError), h5py.File(path, "r") as file:
        texts = {name: file.attrs.get(f"{name}_config") for name in ("model", "training")}
    if texts["model"] is None:
        raise _not_a_model(
            path,
            "the file holds no model config: if it is one of weights alone, make the model and "
            "call `model.load_weights(path)`",
        )
    return {name: text and _decode(path, text) for name, text in texts.items()}


def _decode(path, text):
    with damage_named(path, ValueError):
        return json.loads(text)


def _write_zip(path, copy, configs):
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as new:
        for name in archive.namelist():
            with archive.open(name) as source, new.open(name, "w", force_zip64=True) as target:
                if name == _CONFIG_JSON:
                    target.write(json.dumps(configs["model"]).encode())
                else:
                    shutil.copyfileobj(source, target)


def _write_hdf5(path, copy, configs):
    import h5py

    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        for name, config in configs.items():
            if config is not None:
                file.attrs[f"{name}_config"] = json.dumps(config)

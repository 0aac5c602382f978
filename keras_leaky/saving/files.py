"""The configs inside model files: reading them, and copying a file with other configs."""

import contextlib
import json
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from keras_leaky.saving import archives, weights
from keras_leaky.saving.references import REACHES_OUT, foreign_reference, is_well_formed

# h5py comes with Keras, which imports it late: so do the functions here.

_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_CONFIG_JSON, _WEIGHTS, _METADATA = "config.json", "model.weights", "metadata.json"
_KEYS = {"class_name", "config"}
# An embedding can stand in a config number by number, as its initializer. As Python objects 61 MB
# of short numbers take 0.7 GB, 57 MB of short texts 0.9 GB, and a million small dicts 0.2 GB.
_MAX_CONFIG, _MAX_CONTAINERS, _MAX_METADATA = 64 << 20, 1_000_000, 1 << 20
_TOO_LARGE = "its config has more than 64 MB or more than a million lists and dicts"
# Errors of zipfile and zlib for a damaged archive, and of h5py for an HDF5 file.
_BROKEN_ZIP = (
    OSError, EOFError, NotImplementedError, UnicodeDecodeError, OverflowError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_BROKEN_HDF5 = (
    OSError, KeyError, RuntimeError, TypeError, ValueError, OverflowError, MemoryError,
    AttributeError,
)  # fmt: skip


def read_configs(
    path: str,
) -> tuple[tuple[str, ...], dict[str, str | None], dict[str, Any]]:
    """`(suffixes, saved_by, {"model": config, "training": config or None})` of a model file.

    `suffixes` are the file names' endings by which Keras recognizes this kind of file; a folder has
    none. `saved_by` holds the `version` of Keras and the `backend` that saved the file, as texts,
    or None if the file does not tell. The training config of a `.keras` file lies in the config of
    the model.
    """
    if os.path.isdir(path):
        saved_by, config = _read_folder(path)
        return (), saved_by, {"model": config, "training": None}
    if not os.path.exists(path):
        raise FileNotFoundError(f"`path` must name a file that exists. Received: path={path!r}")
    if not os.path.isfile(path):  # a pipe would wait forever
        raise _not_a_model(path, "it is not a file")
    with open(path, "rb") as file:
        start = file.read(8)
    if start.startswith(_ZIP):
        suffixes, read = (".keras",), _read_zip
    elif start == _HDF5:
        suffixes, read = (".h5", ".hdf5"), _read_hdf5
    else:
        found = f"begins with {start!r}" if start else "is empty"
        raise _not_a_model(path, f"the file {found}, which is neither")
    saved_by, configs = read(path)
    if not isinstance(configs["model"], dict) or not configs["model"].keys() >= _KEYS:
        raise _not_a_model(path, "the config in the file is not the config of a model")
    return suffixes, saved_by, configs


def write_copy(path: str, copy: str, configs: dict[str, Any]) -> None:
    """Copies the model file at `path` with other `configs`."""
    write = _write_zip if copy.endswith(".keras") else _write_hdf5
    with damage_named(path):
        write(path, copy, configs)


def _not_a_model(path, reason):
    return ValueError(
        "`path` must be a model in a .keras file (a zip archive) or an .h5 file (HDF5), but "
        f"{reason}. Received: path={path!r}"
    )


@contextlib.contextmanager
def damage_named(
    path: str, errors: tuple[type[Exception], ...] = (zipfile.BadZipFile,)
) -> Iterator[None]:
    """Turns read `errors` of the file at `path` into a sentence that says that it is damaged."""
    try:
        yield
    except errors as error:
        reason = "the file is damaged or was cut short: copy or download it again"
        raise _not_a_model(path, reason) from error


def _unsafe(path, reason):
    return ValueError(
        f"{path!r} was not loaded: {reason}. Keras does not save such files: take the model from a "
        "source that you trust."
    )


def check_references(
    path: str, configs: dict[str, Any], custom_objects: dict[str, Any] | None
) -> None:
    """Refuses configs that name objects which are not part of a model."""
    for config in configs.values():
        name = foreign_reference(config, custom_objects)
        if name is not None and name.endswith(REACHES_OUT):
            raise ValueError(
                f"{path!r} holds a layer `{REACHES_OUT}`, which runs a program from a folder. If "
                "you trust both, pass `safe_mode=False`."
            )
        if name is not None:
            raise _unsafe(path, f"it names {ascii(name)[1:-1][:80]}, which is not part of a model")


def check_weights(path: str, source: str) -> None:
    """Refuses unsafe weights in `source`, which is `path` or a copy without packed members."""
    import h5py

    with contextlib.ExitStack() as stack:
        with damage_named(path, _BROKEN_HDF5):
            content, size = source, os.path.getsize(source)
            if source.endswith(".keras"):
                with archives.open_archive(source) as archive:
                    info = archive.getinfo(_WEIGHTS + ".h5")
                content = stack.enter_context(archives.StoredMember(source, info))
                size = info.file_size
            file = stack.enter_context(h5py.File(content, "r"))
            reason = weights.why_unsafe(file, size)
        if reason:
            raise _unsafe(path, reason)


def is_packed(path: str) -> bool:
    """Whether the file at `path` is an archive with packed members."""
    with open(path, "rb") as file:
        if file.read(4) != _ZIP:
            return False
    with archives.open_archive(path) as archive:
        return any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())


def _read_folder(path):
    """The configs of an unpacked archive; an empty config for any other folder."""
    files = [os.path.join(path, name) for name in (_CONFIG_JSON, _WEIGHTS + ".h5")]
    if not os.path.exists(files[0]):
        return _saved_by({}), {}
    if not all(map(os.path.isfile, files)):
        raise _not_a_model(path, f"the folder lacks {_CONFIG_JSON} or {_WEIGHTS}.h5")
    if os.path.getsize(files[0]) > _MAX_CONFIG:
        raise _unsafe(path, _TOO_LARGE)
    check_weights(path, files[1])
    metadata = os.path.join(path, _METADATA)
    texts = [b"", b""]
    for i, name in enumerate((metadata, files[0])):
        if os.path.isfile(name):
            with open(name, "rb") as file:
                texts[i] = file.read(_MAX_CONFIG + 1)
    return _read_metadata(path, texts[0]), _decode(path, texts[1])


def _read_zip(path):
    reason, kept = None, {}
    with damage_named(path, _BROKEN_ZIP), archives.open_archive(path) as archive:
        names = {info.filename: info.file_size for info in archive.infolist()}
        reason = archives.why_unsafe(path, archive)
        if reason is None and names.get(_CONFIG_JSON, 0) > _MAX_CONFIG:
            reason = _TOO_LARGE
        if reason is None:
            kept = archives.read_through(archive, keep=(_CONFIG_JSON, _METADATA))
    if reason is not None:
        raise _unsafe(path, reason)
    if _CONFIG_JSON not in names or not any(name.startswith(_WEIGHTS) for name in names):
        raise _not_a_model(path, f"the archive lacks {_CONFIG_JSON} or {_WEIGHTS}.*")
    if _WEIGHTS + ".h5" not in names:
        raise _not_a_model(path, "its weights are pickled, which Keras does not read either")
    saved_by = _read_metadata(path, kept.get(_METADATA, b""))
    return saved_by, {"model": _decode(path, kept[_CONFIG_JSON]), "training": None}


def _read_metadata(path, text):
    """`saved_by` from the metadata of an archive, which may lack them."""
    if len(text) > _MAX_METADATA:
        raise _unsafe(path, f"its {_METADATA} has {len(text):,} bytes")
    with damage_named(path, (ValueError, RecursionError)):
        metadata = json.loads(text) if text else {}
    return _saved_by(metadata if isinstance(metadata, dict) else {})


def _saved_by(attributes):
    """The version of Keras and its backend as texts, or None if they are missing or unusable."""
    found = {"version": attributes.get("keras_version"), "backend": attributes.get("backend")}
    texts = {k: v.decode(errors="replace") if isinstance(v, bytes) else v for k, v in found.items()}
    return {key: text if isinstance(text, str) else None for key, text in texts.items()}


def _read_hdf5(path):
    import h5py

    with damage_named(path, _BROKEN_HDF5), h5py.File(path, "r") as file:
        texts = {
            name: file.attrs[f"{name}_config"]
            for name in ("model", "training")
            if f"{name}_config" in file.attrs and file.attrs.get_id(f"{name}_config").shape == ()
        }
        scalars = ("keras_version", "backend")
        saved_by = _saved_by(
            {
                name: file.attrs[name]
                for name in scalars
                if name in file.attrs and file.attrs.get_id(name).shape == ()
            }
        )
    if "model" not in texts:
        raise _not_a_model(
            path,
            "the file holds no model config: if it holds only weights, make the model and call "
            "`model.load_weights(path)`",
        )
    configs = {name: _decode(path, text) for name, text in texts.items()}
    return saved_by, {"training": None, **configs}


def _decode(path, text):
    if not isinstance(text, str | bytes):
        raise _not_a_model(path, "its config is not text")
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")  # as h5py decodes what is no UTF-8
    if len(text) > _MAX_CONFIG or text.count(b"{") + text.count(b"[") > _MAX_CONTAINERS:
        raise _unsafe(path, _TOO_LARGE)
    with damage_named(path, (ValueError, RecursionError)):
        config = json.loads(text)
    if not is_well_formed(config):
        raise _not_a_model(path, "its config contains invalid class names")
    return config


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

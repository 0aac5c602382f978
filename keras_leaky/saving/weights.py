"""HDF5 files from an untrusted source: their structure is checked before a value is read.

HDF5 can declare arrays of any size in no bytes, keep them in other files of the machine, and link
to those. Keras writes none of that.
"""

import math
from typing import TYPE_CHECKING, Any

from keras_leaky.saving.archives import is_bomb

if TYPE_CHECKING:  # Keras imports it late, and so does this file
    import h5py

_MAX_OBJECTS = 1_000_000
_NAMES = ("layer_names", "weight_names")


def why_unsafe(file: "h5py.File", size: int) -> str | None:
    """Why an HDF5 file is unsafe, as the end of a sentence; None for an honest one.

    Args:
        file: `h5py.File`, open.
        size: int, its bytes.
    """
    import h5py

    waiting: list[h5py.Group] = [file]
    seen, declared, n_objects = set(), 0, 0
    while waiting:
        group = waiting.pop()
        # A group can be its own member. The same array under many names counts every time.
        if group in seen:
            continue
        seen.add(group)
        reason = _why_unsafe_names(group)
        if reason:
            return reason
        for name in group:
            link: Any = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                target = getattr(link, "filename", None) or link.path
                return f"it has a link to {ascii(target)[:80]} instead of weights"
            n_objects += 1
            if n_objects > _MAX_OBJECTS:
                return f"it has more than {_MAX_OBJECTS:,} weights"
            child = group[name]
            if isinstance(child, h5py.Group):
                waiting.append(child)
            elif isinstance(child, h5py.Dataset):
                reason = _why_unsafe_array(child)
                if reason:
                    return reason
                declared += math.prod(child.shape or ()) * child.dtype.itemsize
                if is_bomb(declared, size):
                    return f"its weights would take more than {declared:,} bytes of memory"
    return None


def _why_unsafe_array(dataset):
    name = ascii(dataset.name)[:80]
    if dataset.external or dataset.is_virtual:
        return f"its weight {name} lies in another file"
    if dataset.shape is None or dataset.dtype.hasobject or dataset.dtype.names:
        return f"its weight {name} is not an array of numbers"
    for shape in (dataset.shape, dataset.chunks or ()):  # a chunk is unpacked as a whole
        n_bytes = math.prod(shape) * dataset.dtype.itemsize
        if is_bomb(n_bytes, dataset.id.get_storage_size()):
            return f"its weight {name} would unpack to {n_bytes:,} bytes"
    return None


def _why_unsafe_names(group):
    """Keras reads what these attributes name, as often as they name it, and then counts."""
    names = []
    for key in group.attrs:
        if not key.startswith(_NAMES):
            continue
        if len(group.attrs.get_id(key).shape) != 1:
            return f"its {ascii(key)[:80]} are not a list of names"
        kind = key.rstrip("0123456789")  # a long list is cut into several
        names += [
            (kind, name.decode() if isinstance(name, bytes) else name)
            for name in group.attrs[key].tolist()
        ]
    if len(set(names)) < len(names):
        return "its lists of weights name one of them twice"
    if not all(part.strip(".") for _, name in names for part in name.split("/")):
        return "its lists of weights contain invalid names"
    return None

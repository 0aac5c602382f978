"""Durable files: written atomically, with checksums and locks.

The tuners use it, and the recipes and benchmarks of the repository. Its names are not a public API.
"""

from keras_leaky.storage.background import BackgroundWriter
from keras_leaky.storage.files import (
    WriteError,
    checksum_of,
    checksum_of_file,
    make_folders,
    remove_leftovers,
    set_aside,
    write_errors,
    write_whole,
)
from keras_leaky.storage.folder_lock import LOCK_NAME, FolderInUseError, folder_lock, is_empty
from keras_leaky.storage.json_files import (
    DamagedFileError,
    encode_json,
    read_json,
    read_unverified_json,
    write_json,
)

__all__ = [
    "LOCK_NAME",
    "BackgroundWriter",
    "DamagedFileError",
    "FolderInUseError",
    "WriteError",
    "checksum_of",
    "checksum_of_file",
    "encode_json",
    "folder_lock",
    "is_empty",
    "make_folders",
    "read_json",
    "read_unverified_json",
    "remove_leftovers",
    "set_aside",
    "write_errors",
    "write_json",
    "write_whole",
]

"""Python processes that use `keras_leaky.storage` alone, and are ready at once."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# In the place of the package, whose __init__.py brings in Keras: storage imports nothing of ours.
_STORAGE_ALONE = f"""
import sys, types
sys.modules["keras_leaky"] = package = types.ModuleType("keras_leaky")
package.__path__ = [{str(ROOT / "keras_leaky")!r}]
from keras_leaky import storage
"""


def start(code):
    """A process in which `code` runs after `from keras_leaky import storage`."""
    return subprocess.Popen(
        [sys.executable, "-c", _STORAGE_ALONE + code], stdout=subprocess.PIPE, text=True
    )

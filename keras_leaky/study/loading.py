"""Loading the outcome of an earlier study."""

import os
from pathlib import Path

from keras_leaky.study._assemble import assemble
from keras_leaky.study._folder import StudyFolder
from keras_leaky.study.outcome import Outcome


def load(directory: str | os.PathLike[str]) -> Outcome:
    """The outcome of a study, from the records in its folder. Nothing is trained or changed.

    For an unfinished study, the outcome holds the results so far.

    Args:
        directory: The run folder.

    Raises:
        InputError: If the folder holds no study, or study.json is damaged.
    """
    return assemble(StudyFolder(Path(os.path.expanduser(directory))))

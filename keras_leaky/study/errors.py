"""The errors of a study that are a user's to mend; each message says how."""


class InputError(ValueError):
    """An argument, the data or the folder cannot be used as asked. Nothing has been lost."""


class StudyFailedError(RuntimeError):
    """The study cannot go on, such as when every trial of an arm diverged."""

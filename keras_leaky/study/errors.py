"""The errors of a study that a user can fix; each message says how."""


class InputError(ValueError):
    """An argument, the data or the folder cannot be used as asked. Nothing is lost."""


class StudyFailedError(RuntimeError):
    """The study cannot continue, for example because every trial of an arm diverged."""

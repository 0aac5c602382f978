"""Telling errors of exhausted memory from other errors."""

_NAMES = ("ResourceExhaustedError", "OutOfMemoryError", "_ArrayMemoryError")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of Python, NumPy, TensorFlow, JAX or PyTorch says that memory ran out.

    Args:
        error: An exception.

    Example:

    >>> from keras_leaky.tuning import is_out_of_memory
    >>> is_out_of_memory(MemoryError())
    True
    >>> is_out_of_memory(ValueError("bad"))
    False
    """
    if isinstance(error, MemoryError) or type(error).__name__ in _NAMES:
        return True
    return type(error).__name__.endswith("RuntimeError") and "RESOURCE_EXHAUSTED" in str(error)


def describe_out_of_memory(error: Exception) -> str:
    """Why a training failed, from an error for which `is_out_of_memory` holds."""
    details = (str(error).splitlines() or ["no details"])[0]
    return f"Out of memory: {details:.200}"

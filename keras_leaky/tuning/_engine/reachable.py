"""Everything that can be reached from an object, as a key: equal keys, same behaviour."""

import collections
import dis
import enum
import functools
import hashlib
import inspect
import logging
import pathlib
import re
import sys
import threading
import types
from collections.abc import Callable, Collection, Hashable
from typing import Any

import numpy as np

# Their code does not change while a process runs: a class or function stands for itself.
_LIBRARIES = {
    "PIL", "autokeras", "builtins", "cv2", "einops", "h5py", "jax", "jaxlib", "keras", "keras_cv",
    "keras_hub", "keras_leaky", "keras_nlp", "keras_tuner", "matplotlib", "ml_dtypes", "numpy",
    "pandas", "scipy", "sklearn", "tensorflow", "torch", "tqdm",
} | set(sys.stdlib_module_names) - {"__main__"}  # fmt: skip
# The arguments do not determine the results of these modules' functions.
_IMPURE_MODULES = {
    "datetime", "numpy.random", "os", "random", "secrets", "sys", "time", "uuid",
}  # fmt: skip
_ATOMS = {type(None), bool, int, str, bytes, type(Ellipsis), type(NotImplemented), types.CodeType}
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
# Of a class: how it is made, not what it does.
_OF_CLASSES = {
    "__abstractmethods__", "__annotations__", "__dataclass_fields__", "__dataclass_params__",
    "__dict__", "__doc__", "__firstlineno__", "__match_args__", "__module__", "__slots__",
    "__orig_bases__", "__parameters__", "__static_attributes__", "__type_params__",
    "__weakref__", "_abc_impl", "_api_export_path", "_api_export_symbol_id",
}  # fmt: skip
_ATTRIBUTE_CODES = {
    "LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "STORE_ATTR", "DELETE_ATTR", "IMPORT_FROM",
}  # fmt: skip
_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8  # flags of CPython: a class statement made it


class UnknownError(Exception):
    """The behaviour of an object cannot be determined."""


class Walk:
    """A walk over all that objects hold, which writes down what it sees.

    Two walks that wrote the same tokens have seen objects that do the same, as far as Python can
    tell: types, values, the order and nesting of containers, which objects are one, the code of
    functions with all that it refers to, the classes of a user.

    Args:
        describe: Function `(object, walk)` that is asked first of all about each object that is
            neither a plain value nor a container. It returns whether it has written the object
            down itself.
        left_out: Function of an object: the names of its attributes that are left out.

    Attributes:
        tokens: The notes of the walk: hashable, in order.
        has_users_code: Whether a function or class comes from none of the known libraries.
    """

    def __init__(
        self, describe: Callable[[Any, "Walk"], bool], left_out: Callable[[Any], Collection[str]]
    ) -> None:
        self.tokens: list[Any] = []
        self.has_users_code = False
        self._describe, self._left_out = describe, left_out
        self._seen: dict[int, int] = {}  # id -> number
        self._kept: list[Any] = []  # so that no id is given twice

    def add(self, *tokens: Hashable) -> None:
        self.tokens.extend(tokens)

    def visit(self, value: Any) -> None:
        """Writes down `value` and everything that can be reached from it.

        Raises:
            UnknownError: If some object cannot be looked into.
        """
        kind = type(value)
        if kind in _ATOMS:
            self.tokens += (kind, value)
        elif kind is float:
            self.add(kind, value.hex())  # tells -0.0 from 0.0, and NaN is NaN
        elif kind is tuple:
            self.add(kind, len(value))
            for part in value:
                self.visit(part)
        else:
            number = self._seen.setdefault(id(value), len(self._seen))
            if number < len(self._kept):
                self.add("seen", number)
                return
            self._kept.append(value)
            self._visit_new(value, kind)

    def _visit_new(self, value: Any, kind: type) -> None:
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, value)
        elif isinstance(value, type):
            self._visit_class(value)
        elif not self._describe(value, self):
            self._visit_other(value, kind)

    def _visit_other(self, value: Any, kind: type) -> None:
        if isinstance(value, np.ndarray | np.generic):
            self._visit_array(value)
        elif isinstance(value, enum.Enum):
            self.add(value.name)
            self.visit(kind)
        else:
            self.visit_object(value)

    def visit_object(self, value: Any) -> None:
        """Writes down the class of an object and its attributes."""
        kind = type(value)
        is_container = False
        for base in kind.__mro__:
            if base in _CONTAINERS:
                is_container = True
                _CONTAINERS[base](self, value)
                break
        attributes = getattr(value, "__dict__", None)
        slots = _slots_of(kind)
        if not (is_container or slots or isinstance(attributes, dict)) or _is_of_c(kind):
            raise UnknownError(f"{kind.__module__}.{kind.__qualname__}")
        self.visit(kind)
        left_out = self._left_out(value)
        for name, part in (attributes or {}).items():
            if name not in left_out:
                self.tokens.append(name)
                self.visit(part)
        for name in slots:
            if name not in left_out and hasattr(value, name):
                self.add(name)
                self.visit(getattr(value, name))

    def _visit_sequence(self, value: Any) -> None:
        self.add("sequence", type(value), len(value))
        for part in value:
            self.visit(part)

    def _visit_mapping(self, value: Any) -> None:
        self.add("mapping", type(value), len(value))
        for name, part in value.items():
            self.visit(name)
            self.visit(part)

    def _visit_default_mapping(self, value: Any) -> None:
        self.visit(value.default_factory)
        self._visit_mapping(value)

    def _visit_set(self, value: Any) -> None:
        if all(type(part) is str for part in value):
            self.add("set", type(value), *sorted(value), len(value))
        elif all(type(part) in _ATOMS for part in value):
            self.add("set", type(value), *sorted(map(repr, value)), len(value))
        else:
            raise UnknownError("a set of objects, which has no order")

    def _visit_array(self, value: Any) -> None:
        if value.dtype.hasobject:
            raise UnknownError("an array of objects")
        content = hashlib.blake2b(value.tobytes()).digest()
        self.add("array", type(value), value.shape, value.dtype.str, content)

    def _visit_function(self, function: Any) -> None:
        if _is_public(function):
            self.add(function)
            return
        self.has_users_code |= not is_of_library(function.__module__)
        self.add("function", function.__code__)
        self.visit(function.__defaults__)
        self.visit(function.__kwdefaults__)
        for cell in function.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:
                content = _Empty  # assigned after the function is made, and not yet
            self.visit(content)
        self._visit_names(function)
        for name, value in vars(function).items():
            if name != "__wrapped__":  # a closure has it too
                self.add(name)
                self.visit(value)

    def _visit_names(self, function: Any) -> None:
        """Names that a function's code uses besides its closure: globals and imports."""
        global_names, imported, attributes = _names_of(function.__code__)
        for name in global_names:
            if name in function.__globals__:
                self.add(name)
                self._visit_named(function.__globals__[name], attributes)
        for name in imported:
            module = sys.modules.get(name)
            self.add(name)
            if module is None:
                raise UnknownError(f"the module {name}, which a function imports")
            self._visit_named(module, attributes)

    def _visit_named(self, value: Any, attributes: Collection[str]) -> None:
        if not isinstance(value, types.ModuleType):
            self.visit(value)
            return
        name = value.__name__
        if name in _IMPURE_MODULES or (name == "numpy" and "random" in attributes):
            raise UnknownError(f"the module {name}: what its functions give may change")
        self.add(name)
        if not is_of_library(name):
            for attribute in attributes:
                if attribute in vars(value):
                    self.add(attribute)
                    self._visit_named(vars(value)[attribute], attributes)

    def _visit_module(self, value: Any) -> None:
        self._visit_named(value, ())

    def _visit_method(self, method: Any) -> None:
        self.add("method")
        self.visit(method.__func__)
        self.visit(method.__self__)

    def _visit_builtin(self, function: Any) -> None:
        self.add(function.__module__, function.__qualname__)
        if not isinstance(function.__self__, types.ModuleType | None):
            self.visit(function.__self__)

    def _visit_partial(self, value: Any) -> None:
        self.add("partial")
        self.visit([value.func, value.args, value.keywords, vars(value)])

    def _visit_property(self, value: Any) -> None:
        self.add("property")
        self.visit([value.fget, value.fset, value.fdel])

    def _visit_wrapped(self, value: Any) -> None:
        self.add(type(value))
        self.visit(value.__func__)

    def _visit_cached_property(self, value: Any) -> None:
        self.add("cached property")
        self.visit(value.func)

    def _visit_text(self, value: Any) -> None:
        self.add(type(value), repr(value))

    def _visit_namespace(self, value: Any) -> None:
        self.add(type(value))
        self.visit(vars(value))

    def _visit_kind(self, value: Any) -> None:
        self.add(type(value))

    def _visit_class(self, cls: Any) -> None:
        if is_of_library(cls.__module__):
            self.add(cls)
            return
        if _is_of_c(cls):
            raise UnknownError(f"{cls.__module__}.{cls.__qualname__}")
        self.has_users_code = True
        self.add("class", cls.__qualname__)
        self.visit(type(cls))
        self.visit(cls.__bases__)
        for name, value in vars(cls).items():
            if name not in _OF_CLASSES:
                self.add(name)
                self.visit(value)


def names_in(cls: type, but: Collection[str] = ()) -> set[str]:
    """All names of attributes that the code of a class mentions, in methods other than `but`."""
    names = set()
    for method, value in vars(cls).items():
        if method in but:
            continue
        function = inspect.unwrap(getattr(value, "fget", None) or getattr(value, "__func__", value))
        if isinstance(function, types.FunctionType):
            names |= set(_names_of(function.__code__)[2])
    return names


class _Empty:
    """A token for an empty cell of a closure."""


def is_of_library(module: str | None) -> bool:
    return module is None or module.split(".", 1)[0] in _LIBRARIES


@functools.cache
def _is_of_c(cls: Any) -> bool:
    """Whether a base of a class may hold state that Python does not see."""
    return any(
        not base.__flags__ & _HEAP_TYPE
        or base.__flags__ & _IMMUTABLE_TYPE
        or base.__basicsize__ > base.__base__.__basicsize__ + 8 * (2 + len(_own_slots(base)))
        for base in cls.__mro__
        if base not in _BASES_OF_C
    )


def _own_slots(cls: type) -> list[str]:
    slots = cls.__dict__.get("__slots__", ())
    return [slots] if isinstance(slots, str) else list(slots)


def _is_public(function: Any) -> bool:
    """Whether this is the function that its library has under its name, and not a closure."""
    if not is_of_library(function.__module__):
        return False
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function


@functools.cache
def _slots_of(cls: type) -> tuple[str, ...]:
    names = [name for base in cls.__mro__ for name in _own_slots(base)]
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


@functools.lru_cache(4096)
def _names_of(code: types.CodeType) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names of globals, modules imported inside, and attributes, in the code and in code in it."""
    global_names, imported, attributes = {}, {}, {}
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            global_names[instruction.argval] = None
        elif instruction.opname == "IMPORT_NAME":
            imported[instruction.argval] = None
        elif instruction.opname in _ATTRIBUTE_CODES:
            attributes[instruction.argval] = None
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            for names, inner in zip(
                (global_names, imported, attributes), _names_of(constant), strict=True
            ):
                names.update(dict.fromkeys(inner))
    return tuple(global_names), tuple(imported), tuple(attributes)


_CONTAINERS = {
    list: Walk._visit_sequence,
    tuple: Walk._visit_sequence,
    collections.deque: Walk._visit_sequence,
    collections.defaultdict: Walk._visit_default_mapping,
    dict: Walk._visit_mapping,
    set: Walk._visit_set,
    frozenset: Walk._visit_set,
}
_BASES_OF_C = {*_CONTAINERS, object, type, int, float, str, bytes, Exception, BaseException}
_HANDLERS = {
    **_CONTAINERS,
    collections.OrderedDict: Walk._visit_mapping,
    types.MappingProxyType: Walk._visit_mapping,
    types.FunctionType: Walk._visit_function,
    types.MethodType: Walk._visit_method,
    types.BuiltinFunctionType: Walk._visit_builtin,
    types.ModuleType: Walk._visit_module,
    types.SimpleNamespace: Walk._visit_namespace,
    functools.partial: Walk._visit_partial,
    functools.cached_property: Walk._visit_cached_property,
    property: Walk._visit_property,
    staticmethod: Walk._visit_wrapped,
    classmethod: Walk._visit_wrapped,
    **dict.fromkeys(
        (complex, range, slice, re.Pattern, np.ufunc, type(pathlib.Path()), type(np.maximum)),
        Walk._visit_text,
    ),
    # Names without influence on results.
    **dict.fromkeys(
        (
            *_LOCKS,
            inspect.Signature,
            logging.Logger,
            type(vars(collections.namedtuple("Pair", "first"))["first"]),
            types.MemberDescriptorType,
            types.GetSetDescriptorType,
            types.WrapperDescriptorType,
            types.MethodDescriptorType,
            types.ClassMethodDescriptorType,
        ),
        Walk._visit_kind,
    ),
}

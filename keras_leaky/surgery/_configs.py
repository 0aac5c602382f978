"""Reading and rewriting the results of `keras.saving.serialize_keras_object`."""

from collections.abc import Callable
from typing import Any

# Serialized objects, outermost first, and a function of a part, its argument's name and these.
Hosts = tuple[dict[str, Any], ...]
Change = Callable[[Any, str, Hosts], Any]


def rewrite(node: Any, change: Change, key: str = "", hosts: Hosts = ()) -> Any:
    """A copy of the serialized `node`, with every part replaced by `change(part, key, hosts)`.

    `key` is the name of the argument that the part is given for, `hosts` are the serialized objects
    that it is in, outermost first. A part that `change` returns as it is gets searched further.
    """
    changed = change(node, key, hosts)
    if changed is not node:
        return changed
    if isinstance(node, list | tuple):
        return type(node)(rewrite(part, change, key, hosts) for part in node)
    if isinstance(node, dict):
        hosts = (*hosts, node) if "class_name" in node else hosts
        return {name: rewrite(part, change, name, hosts) for name, part in node.items()}
    return node

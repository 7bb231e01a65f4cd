"""The Kubernetes client's HTTP session, without the rest of the client.

``import kubernetes`` brings its typed models' machinery, its own reader of kubeconfigs and two more HTTP
stacks: 17 MiB and a tenth of a second, of which memtop uses two modules. Python runs the ``__init__`` of a
package before the first import of a module in it, unless the package is there already. So while these two
are imported their packages are there, as yet empty; whoever wants the whole client gets it afterwards.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

PACKAGES = ("kubernetes", "kubernetes.aio", "kubernetes.aio.client")


@contextmanager
def _bare_packages() -> Iterator[None]:
    """Has the packages that are not there yet stand empty for a while, and leaves nothing of it behind."""
    before = frozenset(sys.modules)
    path: list[str] | None = None
    for name in PACKAGES:
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            break  # the import itself will say what is missing
        path = list(spec.submodule_search_locations or ())
        if name not in before:
            sys.modules[name] = module_from_spec(spec)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.startswith("kubernetes") and name not in before]:
            del sys.modules[name]


with _bare_packages():
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.client.rest import RESTClientObject

__all__ = ["Configuration", "RESTClientObject"]

"""Events: one file for each kind, with what a user writes and the changes that it becomes.

A module of this folder that defines a subclass of :class:`twin.events.base.Event` is a kind;
nothing else has to name it.
"""

from __future__ import annotations

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

"""From a policy's file to its class: each file is loaded once, by digest and place."""

from __future__ import annotations

import hashlib
import inspect
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.errors import PydanticUserError

from twin.core.errors import InputError, Loc, Problem, show
from twin.core.files import same_directory
from twin.core.printable import printable
from twin.core.validation import problems_of
from twin.policy.base import RESERVED, Policy


@dataclass(frozen=True, slots=True)
class PolicySource:
    """A policy's class and where it came from."""

    name: str
    path: Path
    code: bytes
    policy: type[Policy]
    loaded: bool = False
    """Whether the class was loaded from the file, under a module name of its own."""

    @property
    def digest(self) -> str:
        """SHA-256 of the file's bytes."""
        return hashlib.sha256(self.code).hexdigest()

    @property
    def summary(self) -> str:
        """First line of its docstring."""
        return (inspect.getdoc(self.policy) or "").split("\n")[0]

    def make(self, parameters: dict[str, Any], where: Loc = ()) -> Policy:
        """Return a policy with checked `parameters`.

        Raises InputError, with `where` before each parameter's name.
        """
        try:
            self.policy.parameters().model_validate(parameters)
        except ValidationError as error:
            known = sorted(self.policy.parameters().model_fields)
            raise InputError(problems_of(error, prefix=where, known={(): known})) from None
        try:
            return self.policy(**parameters)
        except BaseException as error:
            raise self.error(error, "cannot be made") from None

    def models(self, policy: Policy, kpis: tuple[str, ...]) -> tuple[str, ...]:
        """Return the models that `policy` announces. Raises InputError where it cannot say."""
        try:
            models = policy.models(kpis)
        except BaseException as error:
            raise self.error(error, "models()") from None
        if not isinstance(models, tuple | list) or not all(isinstance(m, str) for m in models):
            what = f"models() must return a tuple of names, not {show(models)}"
            raise InputError(Problem(what, file=self.path))
        return tuple(models)

    def error(self, error: BaseException, what: str) -> InputError:
        """Return what a user reads when the policy's own code raises before the run.

        Raises Ctrl-C again, which is none of it.
        """
        if is_interrupt(error):
            raise error
        line = line_in(error, self.path)
        return InputError(Problem(f"{what}: {describe(error)}", file=self.path, line=line))


def load(path: Path, code: bytes | None = None, name: str | None = None) -> PolicySource:
    """Return the one policy that the file at `path` defines.

    `code` are the file's bytes where they have been read before, perhaps on another machine, and
    `name` is that of the module that they were loaded as.
    Raises InputError where the file cannot be run or does not define exactly one policy.
    """
    code = _bytes(path) if code is None else code
    digest = hashlib.sha256(code).hexdigest()
    # The same code in another folder is another policy: it may read files beside it.
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    module = _module(path, code, name or f"twin_policy_{digest[:16]}_{place[:8]}")
    policies = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Policy)
        and value.__module__ == module.__name__
    ]
    if len(policies) != 1:
        names = ", ".join(policy.__name__ for policy in policies) or "none"
        what = f"a policy file defines one subclass of twin.Policy; this one defines: {names}"
        raise InputError(Problem(what, file=path))
    _check_parameters(policies[0], path)
    return PolicySource(path.stem, path, code, policies[0], loaded=True)


class UnloadedPolicy(Policy):
    """Stands for a policy whose code is not run: takes any parameter, and decides nothing."""

    @classmethod
    def parameters(cls) -> type[BaseModel]:
        """Return a model that lets everything pass."""
        return _Anything


class _Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


def unloaded(path: Path) -> PolicySource:
    """Return the policy at `path` without running any of its code.

    Raises InputError where the file cannot be read or is not Python.
    """
    code = _bytes(path)
    try:
        compile(code, str(path), "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = f"cannot be loaded: {describe(error)}"
        raise InputError(Problem(what, file=path, line=_line(error, path))) from None
    return PolicySource(path.stem, path, code, UnloadedPolicy)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", file=path)) from None


@same_directory()
def _module(path: Path, code: bytes, name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    # Dataclasses, type hints and pickling look the module up by name.
    sys.modules[name] = module
    try:
        # The bytes that were digested are those that run, whatever a bytecode cache holds.
        exec(compile(code, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        sys.modules.pop(name, None)
        if is_interrupt(error):
            raise
        what = f"cannot be loaded: {describe(error)}"
        problem = Problem(what, file=path, line=_line(error, path), suggestion=_remedy(error, path))
        raise InputError(problem) from None
    return module


def _remedy(error: BaseException, path: Path) -> str:
    """Return what helps where a policy imports a module that lies beside it."""
    name = str(error.name).split(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if not name or not ((path.parent / f"{name}.py").is_file() or (path.parent / name).is_dir()):
        return ""
    return (
        f"a policy is one file, known by its digest: move what it needs of '{name}' there, "
        "or install that as a package"
    )


def _check_parameters(policy: type[Policy], path: Path) -> None:
    try:
        model = policy.parameters()
        model()
    except ValidationError as error:
        name = ".".join(str(part) for part in error.errors()[0]["loc"])
        what = f"the default of parameter '{name}' is not valid"
    except PydanticUserError:
        what = "a parameter has a type that cannot be checked"
    except SyntaxError as error:
        what = describe(error)
    except BaseException as error:
        if is_interrupt(error):
            raise
        what = message_of(error) or describe(error)
    else:
        reserved = sorted(set(model.model_fields) & set(RESERVED))
        if not reserved:
            return
        what = f"'{reserved[0]}' is reserved and cannot be a parameter"
    raise InputError(Problem(f"policy {policy.__name__}: {what}", file=path))


def describe(error: BaseException) -> str:
    """Return ``Type: message`` on one line."""
    message = " ".join(message_of(error).split())
    kind = type(error).__name__
    return printable(f"{kind}: {message}" if message else kind)


def message_of(error: BaseException) -> str:
    """Return what an error says; nothing where it fails to say it."""
    try:
        return str(error.msg if isinstance(error, SyntaxError) else error)
    except BaseException as worse:
        if is_interrupt(worse):
            raise
        return ""


def is_interrupt(error: BaseException) -> bool:
    """Return whether `error` is Ctrl-C, and not the failure of whatever code was running."""
    return type(error) is KeyboardInterrupt


def _line(error: BaseException, path: Path) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    return line_in(error, path)


def line_in(error: BaseException, path: Path | str) -> int | None:
    """Return the innermost line of the file at `path` that `error` passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == str(path)), None)

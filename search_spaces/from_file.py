"""A search space from a Python file of the user's own."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace

SUFFIX = ".py"


def load_space(path: Path) -> SearchSpace:
    """The one SearchSpace that the file defines, or the one that it calls SPACE.

    Raises:
        SpaceError: no such file, it cannot be run, or it defines none or several.
    """
    if not path.is_file():
        raise SpaceError(f"a search space must be a name or a Python file, but there is no file {path}.")
    spec = importlib.util.spec_from_file_location(f"user_space_{path.stem}", path)
    assert spec is not None, "it ends in .py"
    assert spec.loader is not None, "it ends in .py"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise SpaceError(f"{path} must be Python that runs, but: {type(error).__name__}: {error}") from error
    found = {name: value for name, value in vars(module).items() if isinstance(value, SearchSpace)}
    own = {name: value for name, value in found.items() if not _is_imported(value)}
    spaces = own or found
    if "SPACE" in spaces:
        return spaces["SPACE"]
    if len(spaces) != 1:
        told = ", ".join(spaces) or "none"
        raise SpaceError(f"{path} must define one SearchSpace, or call one of them SPACE, but it defines {told}.")
    return next(iter(spaces.values()))


def _is_imported(space: SearchSpace) -> bool:
    """One of the shipped ones, which a file may start from."""
    from search_spaces import SPACES

    return any(space is known for known in SPACES.values())


def digest_of(name: str | SearchSpace) -> str | None:
    """Of the file's bytes; None for the name of a shipped space, whose code is the product's, and for an object."""
    if isinstance(name, SearchSpace) or not name.endswith(SUFFIX):
        return None
    return hashlib.sha256(Path(name).read_bytes()).hexdigest()[:12]

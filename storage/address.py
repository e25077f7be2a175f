"""Where a store is, as people type it: a URL, or the name of the variable that holds it or its password."""

from __future__ import annotations

import os
import re
from pathlib import Path

import sqlalchemy as sa

from storage.database import Address
from storage.errors import StorageError

FROM_ENVIRONMENT = "env:"


def store_of(text: str | None, runs: Path) -> Address:
    """The store that was asked for, or the folder's own.

    Raises:
        StorageError: see `store_address`.
    """
    return f"sqlite:///{runs}/sweeps.db" if text is None else store_address(text)


def store_address(text: str) -> Address:
    """As it was typed, or, for 'env:NAME' and 'postgresql://USER:env:NAME@HOST/DB', with what the variable NAME holds:
    the whole URL, or the password.

    Raises:
        StorageError: no such variable, or what it holds is no URL.
    """
    if text.startswith(FROM_ENVIRONMENT):
        try:
            return sa.make_url(_variable(text.removeprefix(FROM_ENVIRONMENT)))
        except sa.exc.ArgumentError:  # which would repeat what it is
            raise StorageError(f"{text} must hold a database URL such as postgresql://USER:PASSWORD@HOST/DB.") from None
    match = re.fullmatch(r"(\w+://[^:/@]+):env:(\w+)@(.*)", text)
    if match is None:
        return text
    return sa.make_url(f"{match[1]}@{match[3]}").set(password=_variable(match[2]))


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise StorageError(f"env:{name} must name a variable that is set, but {name} is not. Export it first.")
    return value

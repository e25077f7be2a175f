"""A store is named by a URL, or by the variable that holds it or its password."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.address import store_address, store_of
from storage.errors import StorageError


def test_a_folder_has_a_store_of_its_own() -> None:
    assert store_of(None, Path("runs")) == "sqlite:///runs/sweeps.db"
    assert store_of("sqlite:///other.db", Path("runs")) == "sqlite:///other.db"


class TestStoreAddress:
    def test_a_variable_holds_the_whole_url(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SWEEP_STORE", "postgresql://user:geheim@host/db")
        found = store_address("env:SWEEP_STORE")
        assert isinstance(found, sa.URL)
        assert (found.password, found.host) == ("geheim", "host")
        assert "geheim" not in f"{found}{found!r}"

    def test_or_the_password_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SWEEP_PASSWORD", "ge:he@im/")
        found = store_address("postgresql://user:env:SWEEP_PASSWORD@host:5433/db")
        assert isinstance(found, sa.URL)
        assert (found.username, found.password, found.port, found.database) == ("user", "ge:he@im/", 5433, "db")

    def test_anything_else_is_what_it_is(self) -> None:
        assert store_address("sqlite:///runs/sweeps.db") == "sqlite:///runs/sweeps.db"

    @pytest.mark.parametrize("text", ["env:NOT_SET", "postgresql://user:env:NOT_SET@host/db"])
    def test_a_variable_that_is_not_set_is_named(self, text: str) -> None:
        with pytest.raises(StorageError, match="NOT_SET is not"):
            store_address(text)

    def test_nonsense_is_not_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SWEEP_STORE", "geheim")
        with pytest.raises(StorageError, match="must hold a database URL") as refusal:
            store_address("env:SWEEP_STORE")
        assert "geheim" not in str(refusal.value)

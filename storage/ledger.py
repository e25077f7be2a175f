"""The ledger of everything that was ever scored on a market, and the reads of its hold-out: neither is ever reset.

A market is known by its sketch, however much two panels of it overlap; how two sketches are compared, the caller knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from storage.database import persistently
from storage.drain import whoami
from storage.tables import holdout_reads, ledger, markets

IsSame = Callable[[Mapping[str, Any]], bool]


class HoldoutRead(NamedTuple):
    """Somebody looked at the days that nobody may look at twice."""

    reader: str  # USER@HOST
    purpose: str
    time: Any


def market_id(engine: sa.Engine, sketch: Mapping[str, Any], is_same: IsSame) -> int:
    """The market's number in this store; a new one where none that is known is the same.

    Args:
        engine: of the store.
        sketch: of the panel at hand, plain values.
        is_same: whether a known sketch is of the same market.
    """

    def find_or_insert() -> int:
        with engine.begin() as connection:
            for row in connection.execute(sa.select(markets).order_by(markets.c.id)):
                if is_same(row.sketch):
                    return int(row.id)
            inserted = connection.execute(markets.insert().values(sketch=dict(sketch)).returning(markets.c.id))
            return int(inserted.scalar_one())

    return persistently(find_or_insert)


def count_trials(engine: sa.Engine, market: int) -> int:
    """Trials that were ever scored on the market, those of removed studies among them."""
    query = sa.select(sa.func.count()).select_from(ledger).where(ledger.c.market == market)
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


class Tried(NamedTuple):
    """What was tried on a market, by anybody, in this store."""

    configurations: int  # distinct ones that were scored: all seeds and folds of one are one
    holdout_reads: int


def tried_on_market_of(engine: sa.Engine, studies: Sequence[str]) -> Tried | None:
    """Of the market that the studies' last trial is in the ledger with; None where none is."""
    with engine.connect() as connection:
        own = (
            sa.select(ledger.c.market)
            .where(ledger.c.study.in_(studies))
            .order_by(ledger.c.time.desc(), ledger.c.number.desc())
            .limit(1)
        )
        market = connection.execute(own).scalar()
        if market is None:
            return None
        scored = sa.select(sa.func.count(sa.distinct(ledger.c.config_hash))).where(ledger.c.market == market)
        reads = sa.select(sa.func.count()).select_from(holdout_reads).where(holdout_reads.c.market == market)
        return Tried(*(int(connection.execute(query).scalar_one()) for query in (scored, reads)))


def studies_on_market(engine: sa.Engine, market: int) -> list[str]:
    """All whose trials were scored on it, removed ones among them."""
    query = sa.select(sa.distinct(ledger.c.study)).where(ledger.c.market == market)
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def note_holdout_read(engine: sa.Engine, market: int, purpose: str, earlier: int) -> bool:
    """Writes that this user reads the market's hold-out; False, and nothing, where it was not read `earlier` times."""
    row = {"market": market, "reader": whoami(), "purpose": purpose}

    def insert() -> bool:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql(f"LOCK TABLE {holdout_reads.name} IN SHARE ROW EXCLUSIVE MODE")
            reads = sa.select(sa.func.count()).select_from(holdout_reads).where(holdout_reads.c.market == market)
            if connection.execute(reads).scalar_one() != earlier:
                return False
            connection.execute(holdout_reads.insert().values(**row))
            return True

    return persistently(insert)


def read_holdout_reads(engine: sa.Engine, market: int) -> list[HoldoutRead]:
    """All reads of the market's hold-out, oldest first."""
    own = (holdout_reads.c.reader, holdout_reads.c.purpose, holdout_reads.c.time)
    query = sa.select(*own).where(holdout_reads.c.market == market).order_by(holdout_reads.c.id)
    with engine.connect() as connection:
        return [HoldoutRead(*row) for row in connection.execute(query)]

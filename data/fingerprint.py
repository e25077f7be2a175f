"""What a network's columns looked like: by it a later panel's columns are known again, swapped or altered ones named.

Two kinds of evidence: the values of some of the last days that were learned from, which a panel that reaches back that
far holds too; and whether a column differs between stocks on a usual day, which a dead feed no longer does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.errors import DataError
from data.features import REACH
from data.store import MarketStore

DAYS, STOCKS = 10, 60  # whose values are kept
LEAST_DAYS, LEAST_STOCKS = 3, 10  # that a panel must share with them to be compared
TOLERANCE = 1e-3  # of a column's spread: what rounding and another adjustment of prices may move
ALIKE = 0.9  # share of equal values from which on columns are the same
VARIES = 0.99  # share of days from which on a column that does not differ between stocks is dead
SHOWN = 5  # columns that a message names


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """d days x n stocks x C columns: raw columns as changes from day to day, then features as they are."""

    names: list[str]
    num_raw: int  # of the names, which come first
    first_date: np.datetime64  # of the panel
    dates: np.ndarray  # [d] datetime64[D]
    codes: np.ndarray  # [n] str
    values: np.ndarray  # [d, n, C] float32
    spread: np.ndarray  # [C] float32, interquartile range
    varying: np.ndarray  # [C] share of days on which a column differs between stocks

    def save(self, path: Path) -> None:
        """As .npz, without pickle."""
        np.savez_compressed(
            path,
            names=np.array(self.names),
            codes=self.codes,
            values=self.values,
            spread=self.spread,
            varying=self.varying,
            first_date=self.first_date.astype(np.int64),
            dates=self.dates.astype(np.int64),
            num_raw=np.array(self.num_raw),
        )

    @classmethod
    def load(cls, path: Path) -> Fingerprint:
        with np.load(path, allow_pickle=False) as content:
            return cls(
                names=content["names"].tolist(),
                num_raw=int(content["num_raw"]),
                first_date=content["first_date"].astype("datetime64[D]")[()],
                dates=content["dates"].astype("datetime64[D]"),
                codes=content["codes"],
                values=content["values"],
                spread=content["spread"],
                varying=content["varying"],
            )


def take_fingerprint(store: MarketStore, days: range) -> Fingerprint:
    """Of the last of the `days` that a network learned from, and the stocks with most rows on them."""
    last = range(max(days.start, days.stop - DAYS), days.stop)
    present = np.asarray(store.present[last.start : last.stop]).sum(axis=0)
    stocks = np.sort(np.argsort(-present, kind="stable")[:STOCKS])
    names, values = _columns(store, last, stocks)
    quartiles = np.nanquantile(_filled(values), [0.25, 0.75], axis=(0, 1))
    return Fingerprint(
        names=names,
        num_raw=len(store.meta.bars),
        first_date=store.dates[0],
        dates=store.dates[last.start : last.stop],
        codes=store.codes[stocks],
        values=values,
        spread=(quartiles[1] - quartiles[0]).astype(np.float32),
        varying=_varying(store, range(max(days.start, days.stop - 250), days.stop)),
    )


def refuse_other_columns(known: Fingerprint, store: MarketStore) -> str | None:
    """Holds the days that both know against each other.

    Returns:
        why they could not be compared; None where they were.

    Raises:
        DataError: a column holds other values, or another column's.
    """
    place = {code: number for number, code in enumerate(store.codes.tolist())}
    here = [number for number, code in enumerate(known.codes.tolist()) if code in place]
    days = np.searchsorted(store.dates, known.dates)
    shared = (days < store.num_days) & (store.dates[np.minimum(days, store.num_days - 1)] == known.dates)
    if shared.sum() < LEAST_DAYS or len(here) < LEAST_STOCKS:
        return f"the panel shares {int(shared.sum())} days and {len(here)} stocks with those that were learned from"
    if store.dates[0] > known.first_date and int(days[shared][0]) < REACH:
        return f"the panel begins {int(days[shared][0])} days before those that both have, and features read {REACH}"
    span = range(int(days[shared][0]), int(days[shared][-1]) + 1)
    stocks = np.array([place[code] for code in known.codes[here].tolist()])
    names, values = _columns(store, span, stocks)
    now = values[days[shared] - span.start]
    order = [names.index(name) if name in names else -1 for name in known.names]
    then = known.values[shared][:, here]
    same = np.array([1.0 if o < 0 else _alike(then[..., c], now[..., o], known.spread[c]) for c, o in enumerate(order)])
    _refuse(known, names, same, then, now, int(shared.sum()))
    return None


def _refuse(
    known: Fingerprint, names: list[str], same: np.ndarray, then: np.ndarray, now: np.ndarray, num_days: int
) -> None:
    """Raw columns before features, which follow from them."""
    others = np.flatnonzero(same < ALIKE)
    raw = others[others < known.num_raw]
    wrong = raw if len(raw) else others
    if not len(wrong):
        return
    told = []
    for c in wrong[:SHOWN]:
        shares = [_alike(then[..., c], now[..., o], known.spread[c]) for o in range(len(names))]
        best = int(np.argmax(shares))
        holds = f"holds the values of {names[best]}" if shares[best] >= ALIKE else f"agrees in {same[c]:.0%} of them"
        told.append(f"{known.names[c]} {holds}")
    more = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    raise DataError(
        f"a panel's columns must hold what the network learned from, but on {num_days} days that both know "
        f"{'; '.join(told)}{more}. Give it the columns as they were, or export a network that learned from these."
    )


def refuse_dead_columns(known: Fingerprint, store: MarketStore, day: int) -> None:
    """Raises DataError where a column that differs between stocks on any usual day is one value, or none, on this."""
    stocks = np.flatnonzero(np.asarray(store.eligible[day]))
    names, values = _columns(store, range(day, day + 1), stocks)
    varies = dict(zip(known.names, known.varying >= VARIES, strict=True))
    dead = [n for c, n in enumerate(names) if varies.get(n) and not _differs(values[0, :, c])]
    raw = [name for name in dead if name in known.names[: known.num_raw]]
    way = "See whether a source was lost there."
    if known.num_raw and not raw and day < REACH:
        way = f"The panel has {day + 1} days until then, and features read up to {REACH}: bring a longer history."
    if dead := raw or dead:
        more = f" and {len(dead) - SHOWN} more" if len(dead) > SHOWN else ""
        raise DataError(
            f"a column must differ between stocks where it did on days that were learned from, but on "
            f"{store.dates[day]} {', '.join(dead[:SHOWN])}{more} hold{'s' * (len(dead) == 1)} one value, or none, for "
            f"all {len(stocks)} stocks. {way}"
        )


def _columns(store: MarketStore, days: range, stocks: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names, and [days, stocks, C]: log changes of raw columns over a day, then features."""
    features = np.asarray(store.features[days.start : days.stop])[:, stocks]
    raw = np.empty((*features.shape[:2], 0), np.float32)
    if store.meta.bars:
        first = max(0, days.start - 1)
        bars = np.asarray(store.bars[first : days.stop], np.float64)[:, stocks]
        if first == days.start:
            bars = np.concatenate([np.full_like(bars[:1], np.nan), bars])
        with np.errstate(invalid="ignore", divide="ignore"):
            raw = np.diff(np.log(bars), axis=0).astype(np.float32)
    return [*store.bar_names, *store.meta.features], np.concatenate([raw, features], axis=2)


def _varying(store: MarketStore, days: range) -> np.ndarray:
    """[C] of some days, spread over the range."""
    picked = np.unique(np.linspace(days.start, days.stop - 1, 25).astype(int))
    counts = []
    for day in picked:
        stocks = np.flatnonzero(np.asarray(store.eligible[day]))
        values = _columns(store, range(int(day), int(day) + 1), stocks)[1][0]
        counts.append([_differs(values[:, c]) for c in range(values.shape[1])])
    return np.mean(counts, axis=0)


def _differs(values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 1 and bool((known != known[0]).any())


def _alike(then: np.ndarray, now: np.ndarray, spread: np.floating) -> float:
    """Share of equal values where either is known; 1 where neither ever is."""
    known = np.isfinite(then) | np.isfinite(now)
    if not known.any():
        return 1.0
    bound = TOLERANCE * spread + 1e-6 * np.abs(then[known])
    return float(np.mean(np.abs(then[known] - now[known]) <= bound))


def _filled(values: np.ndarray) -> np.ndarray:
    """With zeros in columns that are never known, of which no quantile is."""
    return np.where(np.isfinite(values).any(axis=(0, 1)), values, np.float32(0))

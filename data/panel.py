"""A long Parquet panel, streamed by record batches into dense [day, stock] arrays, or refused with a reason."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from data.errors import DataError

PRICES = ("open", "high", "low", "close", "volume")
LABELS = ("sector", "industry")
MAX_FACTOR = 100.0  # a larger step between two closes is no return but an error
REQUIRED = ("date", "code", *PRICES, "sector")


@dataclass(frozen=True)
class Panel:
    """One market, dense: D days, N stocks. A missing row is NaN in every price array."""

    dates: np.ndarray  # [D] datetime64[D], ascending
    codes: np.ndarray  # [N] str, ascending
    prices: dict[str, np.ndarray]  # each float64 [D, N]
    sector: np.ndarray  # [N] str
    industry: np.ndarray  # [N] str, "" where unknown

    @property
    def observed(self) -> np.ndarray:
        """[D, N] bool: the stock has a close that day."""
        return np.isfinite(self.prices["close"])

    def until(self, num_days: int) -> Panel:
        """The first `num_days` days of every stock."""
        cut = {name: values[:num_days] for name, values in self.prices.items()}
        return Panel(self.dates[:num_days], self.codes, cut, self.sector, self.industry)

    def listed(self) -> Panel:
        """Without the stocks that have no row: one that lists later is not known yet."""
        known = self.observed.any(axis=0)
        prices = {name: values[:, known] for name, values in self.prices.items()}
        return Panel(self.dates, self.codes[known], prices, self.sector[known], self.industry[known])


def read_panel(path: Path) -> Panel:
    """Reads a Parquet file or folder of columns date, code, open, high, low, close, volume, sector[, industry].

    Raises:
        DataError: missing file, no Parquet, missing or doubled columns, unparseable dates, duplicate
            (date, code), infinite or non-positive prices.
    """
    dataset = _open(path)
    dates, codes = _axes(dataset, path)
    prices = {name: np.full((len(dates), len(codes)), np.nan) for name in PRICES}
    labels = {name: np.full(len(codes), "", dtype=object) for name in LABELS}
    seen = np.zeros((len(dates), len(codes)), dtype=bool)
    for batch in _batches(dataset, path):
        day, stock = _positions(batch, dates, codes)
        _refuse_duplicates(seen, day, stock, dates, codes)
        for name in PRICES:
            prices[name][day, stock] = _floats(batch, name, path)
        for name in LABELS:
            if name in batch.schema.names:
                labels[name][stock] = np.asarray(_text(batch, name, path).fill_null("").to_pylist(), object)
    _refuse_absurd_prices(prices, dates, codes)
    return Panel(dates, codes, prices, labels["sector"].astype(str), labels["industry"].astype(str))


def panel_key(path: Path) -> str:
    """SHA-256 over the bytes of every Parquet file, in name order: equal bytes, equal key, whatever their names."""
    digest = hashlib.sha256()
    for file in _files(path):
        digest.update(file.stat().st_size.to_bytes(8, "big"))
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 22):
                digest.update(chunk)
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise DataError(f"the panel must exist, but there is no file or folder {path}. Check --data.")
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"a panel folder must hold *.parquet files, but {path} holds none.")
    return files


def _open(path: Path) -> ds.Dataset:
    """All files as one dataset, each with every required column."""
    files = _files(path)
    for file in files:
        _check_schema(file)
    try:
        return ds.dataset([str(file) for file in files], format="parquet")
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise DataError(f"the files of a panel must agree on their columns' types, but {path}: {error}") from error


def _check_schema(file: Path) -> None:
    try:
        names = pq.read_schema(file).names
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"the panel must be readable Parquet, but {file} is not: {error}") from error
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DataError(f"column names must be unique, but {file} repeats {', '.join(doubled)}. Drop or rename them.")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise DataError(
            f"a panel needs the columns {', '.join(REQUIRED)} (industry is optional), but {file} lacks "
            f"{', '.join(missing)}; it has {', '.join(names[:20])}. Rename or add them."
        )


def _batches(dataset: ds.Dataset, path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    names = columns or [name for name in dataset.schema.names if name in (*REQUIRED, "industry")]
    try:
        for batch in dataset.to_batches(columns=names, batch_size=1 << 16):
            if batch.num_rows:
                yield _with_plain_keys(batch, path)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise DataError(f"the panel must be readable to its end, but {path} is damaged: {error}") from error


def _with_plain_keys(batch: pa.RecordBatch, path: Path) -> pa.RecordBatch:
    """Dates as date32 and codes as strings, or the first value that cannot be one."""
    plain, code = _dates(batch["date"], path), _text(batch, "code", path)
    for name, column in (("date", plain), ("code", code)):
        if column.null_count:
            raise DataError(f"{name} must never be null, but {path} has {column.null_count} null values.")
    columns = {name: batch[name] for name in batch.schema.names}
    return pa.RecordBatch.from_pydict(columns | {"date": plain, "code": code})


def _dates(column: pa.Array, path: Path) -> pa.Array:
    """date32 from dates, zoneless timestamps or ISO text; an integer could mean anything and is refused."""
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    law = "dates must be Parquet dates, timestamps without a time zone or ISO days (2020-01-31)"
    if pa.types.is_timestamp(plain.type) and plain.type.tz:
        raise DataError(f"{law}, but those of {path} are in zone {plain.type.tz}. Store the exchange's own day.")
    is_text = pa.types.is_string(plain.type) or pa.types.is_large_string(plain.type)
    if not (is_text or pa.types.is_date(plain.type) or pa.types.is_timestamp(plain.type)):
        raise DataError(f"{law}, but {path} holds {plain.type}, such as {plain[0].as_py()!r}.")
    try:
        return pc.cast(plain, pa.date32())
    except pa.ArrowInvalid as error:
        wrong = next(
            (v for v in pc.unique(plain).to_pylist() if v is not None and not _is_day(str(v))), plain[0].as_py()
        )
        raise DataError(f"{law}, but {path} holds {wrong!r}.") from error


def _is_day(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _text(batch: pa.RecordBatch, name: str, path: Path) -> pa.Array:
    try:
        return batch[name].cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{name} must be text, but {path} holds {batch[name].type}.") from error


def _axes(dataset: ds.Dataset, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """First pass: the sorted trading days and codes of the whole panel."""
    dates: set[np.datetime64] = set()
    codes: set[str] = set()
    for batch in _batches(dataset, path, ["date", "code"]):
        dates.update(np.unique(batch["date"].to_numpy(zero_copy_only=False)))
        codes.update(pc.unique(batch["code"]).to_pylist())
    if not dates:
        raise DataError(f"a panel must hold rows, but {path} is empty.")
    return np.array(sorted(dates), dtype="datetime64[D]"), np.array(sorted(codes))


def _positions(batch: pa.RecordBatch, dates: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row -> (day, stock); codes are looked up once per distinct code, not once per row."""
    day = np.searchsorted(dates, batch["date"].to_numpy(zero_copy_only=False).astype("datetime64[D]"))
    encoded = batch["code"].dictionary_encode()
    lookup = np.searchsorted(codes, np.asarray(encoded.dictionary.to_pylist()))
    return day, lookup[encoded.indices.to_numpy()]


def _refuse_duplicates(
    seen: np.ndarray, day: np.ndarray, stock: np.ndarray, dates: np.ndarray, codes: np.ndarray
) -> None:
    cell = day.astype(np.int64) * len(codes) + stock
    distinct, first = np.unique(cell, return_index=True)
    repeated = np.setdiff1d(np.arange(len(cell)), first)
    again = np.concatenate([repeated, np.flatnonzero(seen[day, stock])])
    if len(again):
        d, s = day[again[0]], stock[again[0]]
        raise DataError(
            f"(date, code) must be unique, but {len(again)} rows repeat one; first: "
            f"{dates[d]} {codes[s]}. Remove the duplicates."
        )
    seen.ravel()[distinct] = True


def _floats(batch: pa.RecordBatch, name: str, path: Path) -> np.ndarray:
    try:
        values = batch[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"{name} must be a number, but {path} holds {batch[name].type}: {error}") from error
    if np.isinf(values).any():
        raise DataError(f"{name} must be finite or missing, but {path} holds {np.isinf(values).sum()} infinite.")
    return values


def _refuse_absurd_prices(prices: dict[str, np.ndarray], dates: np.ndarray, codes: np.ndarray) -> None:
    for name, values in prices.items():
        if not np.isfinite(values).any():
            raise DataError(f"{name} must hold values, but every one is null.")
        allowed = "positive" if name != "volume" else "zero or more"
        _refuse_cells(
            values < 0 if name == "volume" else values <= 0,
            values,
            dates,
            codes,
            f"{name} must be {allowed} (a missing value is null)",
        )
    jump = _one_day_factor(prices["close"])
    _refuse_cells(
        (jump > MAX_FACTOR) | (jump < 1 / MAX_FACTOR),
        prices["close"],
        dates,
        codes,
        f"close must not change more than {MAX_FACTOR:g}-fold between two rows of a stock (adjust for splits)",
    )


def _refuse_cells(bad: np.ndarray, values: np.ndarray, dates: np.ndarray, codes: np.ndarray, law: str) -> None:
    cells = np.argwhere(bad)
    if len(cells):
        d, s = cells[0]
        raise DataError(f"{law}, but {len(cells)} rows break it; first: {dates[d]} {codes[s]} = {values[d, s]}.")


def _one_day_factor(close: np.ndarray) -> np.ndarray:
    """[D, N] close over the stock's previous known close, NaN where there is none."""
    last = pd.DataFrame(close).ffill().shift(1).to_numpy()
    return close / last


def count_days(path: Path) -> int:
    """Trading days of a panel, without reading its prices.

    Raises:
        DataError: as `read_panel`, as far as dates and codes go.
    """
    return len(_axes(_open(path), path)[0])

"""The Parquet files of a panel: one file, a folder, or a hive-partitioned tree, read batch by batch.

A file's columns are those that it stores, those of its `key=value` folders, and `FILE_NAME`: its stem, for panels that
keep one file per code or per date and do not repeat it inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from data.errors import DataError

SUFFIXES = (".parquet", ".parq", ".pq")
FILE_NAME = "<file name>"
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
DAMAGED = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OSError)
READ_BUFFER = 1 << 20  # bytes of a column chunk that are held at once, so that a huge row group streams too


class RowGroup(NamedTuple):
    """One row group of one file; the unit of streaming and of noticing what has changed."""

    file: int
    number: int
    num_rows: int


@dataclass(frozen=True)
class Source:
    """All files of one panel, opened and checked; holds no data."""

    path: Path
    files: tuple[Path, ...]
    metadata: tuple[pq.FileMetaData, ...]
    partitions: tuple[dict[str, str | None], ...]  # per file, the key=value parts of its path

    @classmethod
    def open(cls, path: Path) -> Source:
        """Finds the files and reads their footers.

        Raises:
            DataError: nothing there, a file that is no readable Parquet, a repeated column name.
        """
        files = _find(path)
        root = path if path.is_dir() else path.parent
        return cls(path, files, tuple(_footer(file) for file in files), tuple(_partition(f, root) for f in files))

    @cached_property
    def schema(self) -> dict[str, pa.DataType]:
        """Every column of any file with its first type, partition keys and the file's name last."""
        columns: dict[str, pa.DataType] = {}
        for metadata in self.metadata:
            for field in metadata.schema.to_arrow_schema():
                if pa.types.is_null(columns.get(field.name, pa.null())):  # a file whose column is empty knows no type
                    columns[field.name] = field.type
        for key in self.partition_keys:
            columns.setdefault(key, pa.string())
        if len(self.files) > 1:
            columns[FILE_NAME] = pa.string()
        return columns

    @property
    def partition_keys(self) -> list[str]:
        return sorted({key for partition in self.partitions for key in partition})

    @cached_property
    def stored(self) -> tuple[frozenset[str], ...]:
        """Per file, the columns that it stores."""
        return tuple(frozenset(metadata.schema.to_arrow_schema().names) for metadata in self.metadata)

    def lacking(self, column: str) -> int:
        """Number of files without the column, neither stored nor in their path."""
        if column == FILE_NAME:
            return 0
        pairs = zip(self.stored, self.partitions, strict=True)
        return sum(column not in stored and column not in partition for stored, partition in pairs)

    @cached_property
    def row_groups(self) -> list[RowGroup]:
        return [
            RowGroup(number, index, metadata.row_group(index).num_rows)
            for number, metadata in enumerate(self.metadata)
            for index in range(metadata.num_row_groups)
            if metadata.row_group(index).num_rows
        ]

    @property
    def num_rows(self) -> int:
        return sum(metadata.num_rows for metadata in self.metadata)

    def batches(
        self, columns: list[str], batch_rows: int, groups: list[RowGroup] | None = None
    ) -> Iterator[tuple[RowGroup, pa.RecordBatch]]:
        """Record batches of the columns, decoded one ahead in a thread; a column that a file lacks is null.

        Raises:
            DataError: a file that is damaged further on.
        """
        with ThreadPoolExecutor(1) as ahead:
            iterator = self._decoded(columns, batch_rows, self.row_groups if groups is None else groups)
            following: Future = ahead.submit(next, iterator, None)
            while (item := following.result()) is not None:
                following = ahead.submit(next, iterator, None)
                yield item

    def _decoded(
        self, columns: list[str], batch_rows: int, groups: list[RowGroup]
    ) -> Iterator[tuple[RowGroup, pa.RecordBatch]]:
        opened, number = None, -1
        for group in groups:
            stored = [name for name in columns if name in self.stored[group.file]]
            try:
                if opened is None or group.file != number:
                    texts = [name for name in stored if is_text(self.schema[name])]
                    opened, number = self._open_file(group.file, texts), group.file
                for batch in opened.iter_batches(batch_rows, row_groups=[group.number], columns=stored):
                    yield group, self._completed(batch, columns, group.file)
            except DAMAGED as error:
                raise DataError(
                    f"the panel must be readable to its end, but {self.files[group.file]} is damaged: {error} "
                    f"Write the file again."
                ) from error

    def _open_file(self, number: int, dictionaries: list[str]) -> pq.ParquetFile:
        return pq.ParquetFile(
            self.files[number], read_dictionary=dictionaries, pre_buffer=False, buffer_size=READ_BUFFER
        )

    def _completed(self, batch: pa.RecordBatch, columns: list[str], file: int) -> pa.RecordBatch:
        """The columns in the order asked, with those of the path and nulls for those that are not there."""
        partition = self.partitions[file] | {FILE_NAME: self.files[file].stem}
        arrays = []
        for name in columns:
            if name in self.stored[file]:
                arrays.append(batch.column(name))
            elif name in partition:
                arrays.append(pa.array([partition[name]], pa.string()).dictionary_encode().take(_zeros(batch.num_rows)))
            else:
                arrays.append(pa.nulls(batch.num_rows, self.schema[name]))
        return pa.RecordBatch.from_arrays(arrays, names=columns)

    def digests(self, columns: list[str]) -> np.ndarray:
        """[row groups, columns] uint64: hash of the stored bytes of each column chunk, 0 where there is none."""
        table = np.zeros((len(self.row_groups), len(columns)), np.uint64)
        by_file: dict[int, list[int]] = {}
        for row, group in enumerate(self.row_groups):
            by_file.setdefault(group.file, []).append(row)
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(self._hash_file, file, rows, columns, table) for file, rows in by_file.items()]
            for job in jobs:
                job.result()
        return table

    def _hash_file(self, file: int, rows: list[int], columns: list[str], table: np.ndarray) -> None:
        place = {name: column for column, name in enumerate(columns)}
        schema = self.metadata[file].schema.to_arrow_schema()
        fields = _leaf_fields(schema)
        with self.files[file].open("rb") as stream:
            for row in rows:
                metadata = self.metadata[file].row_group(self.row_groups[row].number)
                for number, name in enumerate(fields):
                    if name in place:
                        table[row, place[name]] ^= _hash_chunk(stream, metadata.column(number))
        for field in schema:  # the same bytes read as another type are other values
            if field.name in place:
                table[rows, place[field.name]] ^= np.uint64(xxhash.xxh3_64_intdigest(str(field.type).encode()))
        for name, text in (self.partitions[file] | {FILE_NAME: self.files[file].stem}).items():
            if name in place and name not in self.stored[file]:
                table[rows, place[name]] = np.uint64(xxhash.xxh3_64_intdigest((text or HIVE_NULL).encode()))


def _find(path: Path) -> tuple[Path, ...]:
    if not path.exists():
        raise DataError(f"the panel must exist, but there is no file or folder {path}. Check the path.")
    if path.is_file():
        return (path,)
    hidden = (".", "_")
    files = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in SUFFIXES
        and file.is_file()
        and not any(part.startswith(hidden) for part in file.relative_to(path).parts)
    )
    if not files:
        raise DataError(
            f"a panel folder must hold *.parquet files, but {path} holds none. Give the folder that holds them."
        )
    return tuple(files)


def _footer(file: Path) -> pq.FileMetaData:
    try:
        metadata = pq.read_metadata(file)
        names = metadata.schema.to_arrow_schema().names
    except DAMAGED as error:
        why = str(error).rstrip(".")
        raise DataError(f"the panel must be readable Parquet, but {file} is not: {why}. Write it again.") from error
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DataError(f"column names must be unique, but {file} repeats {', '.join(doubled)}. Drop or rename them.")
    return metadata


def _partition(file: Path, root: Path) -> dict[str, str | None]:
    parts = [part.split("=", 1) for part in file.relative_to(root).parts[:-1] if "=" in part]
    return {key: None if value == HIVE_NULL else unquote(value) for key, value in parts}


def is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)


def _zeros(count: int) -> pa.Array:
    return pa.array(np.zeros(count, np.int32))


def _leaf_fields(schema: pa.Schema) -> list[str]:
    """The column that each of a file's column chunks belongs to; a nested column has several."""
    return [field.name for field in schema for _ in range(_num_leaves(field.type))]


def _num_leaves(kind: pa.DataType) -> int:
    if pa.types.is_dictionary(kind) or kind.num_fields == 0:
        return 1
    return sum(_num_leaves(kind.field(number).type) for number in range(kind.num_fields))


def _hash_chunk(stream: BinaryIO, chunk: pq.ColumnChunkMetaData) -> np.uint64:
    first = chunk.data_page_offset
    if chunk.dictionary_page_offset is not None:
        first = min(first, chunk.dictionary_page_offset)
    stream.seek(first)
    digest, left = xxhash.xxh3_64(), chunk.total_compressed_size
    while left > 0 and (piece := stream.read(min(left, 1 << 22))):
        digest.update(piece)
        left -= len(piece)
    return np.uint64(digest.intdigest())

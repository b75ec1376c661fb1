"""The cold store: published tables as Parquet, `<table>/month=YYYY-MM/data.parquet`.

Money stays exact: `numeric(38, 8)` becomes `decimal128(38, 8)`. DuckDB writes from a stream, so memory
use does not grow with the month.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import psycopg
import pyarrow as pa
from psycopg import sql

from paceline.adapters.postgres.connections.transaction import transaction

_BATCH_ROWS: Final = 20_000

_TYPES: Final = {
    "bool": pa.bool_(),
    "date": pa.date32(),
    "float8": pa.float64(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "jsonb": pa.string(),
    "text": pa.string(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}


class ParquetStore:
    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder

    def export(self, table: str, month: str, where: str, parameters: Mapping[str, Any]) -> int:
        """Replace the file of the month in one step, or not at all; returns the number of rows."""
        target = self._folder / table / f"month={month}" / "data.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        query = sql.SQL("select * from {} where ").format(sql.Identifier("marts", table)) + sql.SQL(where)
        try:
            with (
                transaction(self._url) as connection,
                connection.cursor("cold", row_factory=psycopg.rows.tuple_row) as cursor,
            ):
                cursor.execute(query, parameters)
                rows = _write(cursor, draft)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        return rows


def _write(cursor: Any, path: Path) -> int:
    schema = pa.schema([pa.field(column.name, _type(column)) for column in cursor.description])
    rows = pa.RecordBatchReader.from_batches(schema, _batches(cursor, schema))
    with duckdb.connect() as duck:
        duck.register("rows", rows)
        duck.execute(f"copy (select * from rows) to '{path}' (format parquet, compression zstd)")  # noqa: S608 - parts are constants of this module, values are bound
        counted = duck.execute(f"select count(*) from read_parquet('{path}')").fetchone()  # noqa: S608 - parts are constants of this module, values are bound
    assert counted is not None
    return int(counted[0])


def _type(column: psycopg.Column) -> pa.DataType:
    name = psycopg.adapters.types[column.type_code].name
    if name == "numeric":
        assert column.precision is not None
        return pa.decimal128(column.precision, column.scale or 0)
    return _TYPES[name]


def _batches(cursor: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    while rows := cursor.fetchmany(_BATCH_ROWS):
        columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True))
        arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)

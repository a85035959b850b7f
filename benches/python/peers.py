"""One piece of work by a published Python client, measured: their side of `cargo xtask compare`.

Prints one line of JSON, the same as `lakepilot-measure` does. Importing is not part of the work, connecting is; a small query
as a whole process is measured from outside. Usage: peers.py CLIENT WORK URL SQL [--preserve-dictionary] [--output FILE]
[--calls N] [--queries N]
"""

import argparse
import concurrent.futures
import json
import resource
import sys
import time

MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024


class Meter:
    def __init__(self):
        self.cpu = cpu_seconds()
        self.start = time.perf_counter()
        self.first = None
        self.rows = 0

    def batch(self, batch):
        if self.first is None:
            self.first = time.perf_counter() - self.start
        self.rows += batch.num_rows

    def stop(self, calls=()):
        seconds = time.perf_counter() - self.start
        return {
            "seconds": seconds,
            "calls": list(calls),
            "cpu_seconds": cpu_seconds() - self.cpu,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MEMORY_UNIT,
            "rows": self.rows,
            "bytes": 0,
            "first_batch_seconds": self.first,
        }


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Micromegas:
    """The published client of Micromegas, on pyarrow."""

    def __init__(self, asked):
        import micromegas.flightsql.client

        self.connect = lambda: micromegas.flightsql.client.FlightSQLClient(
            asked.url, preserve_dictionary=asked.preserve_dictionary
        )
        self.sql = asked.sql

    def open(self):
        self.client = self.connect()

    def batches(self):
        return self.client.query_stream(self.sql)

    def table(self):
        return self.client.query_arrow(self.sql)

    def schema(self):
        return self.client.prepare_statement(self.sql).dataset_schema

    def workers(self, count):
        """Threads of one client, which pyarrow allows."""
        return [self.table] * count


class Adbc:
    """ADBC's Flight SQL driver, through partitions: the service refuses its ordinary `execute`. The driver's own interface is
    used, since the one of DB-API prepares every statement first, which the service cannot run afterwards."""

    def __init__(self, asked):
        import adbc_driver_flightsql.dbapi as flightsql
        from adbc_driver_flightsql import DatabaseOptions

        options = {}
        if asked.preserve_dictionary:
            options[DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + "preserve_dictionary"] = "true"
        self.connect = lambda: flightsql.connect(asked.url, db_kwargs=options, autocommit=True)
        self.sql = asked.sql

    def open(self):
        self.connection = self.connect()

    def batches(self):
        return batches_of(self.connection, self.sql)

    def table(self):
        return table_of(self.connection, self.sql)

    def workers(self, count):
        """A connection each, since one is not for several threads; they share the driver's channel."""
        connections = [self.connection.adbc_clone() for _ in range(count)]
        return [lambda connection=connection: table_of(connection, self.sql) for connection in connections]


def batches_of(connection, sql):
    import adbc_driver_manager
    import pyarrow

    with adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement:
        statement.set_sql_query(sql)
        partitions, _, _ = statement.execute_partitions()
        for partition in partitions:
            stream = connection.adbc_connection.read_partition(partition)
            with pyarrow.RecordBatchReader._import_from_c(stream.address) as reader:
                yield from reader


def table_of(connection, sql):
    import pyarrow

    return pyarrow.Table.from_batches(batches_of(connection, sql))


def drain(client, asked):
    meter = Meter()
    client.open()
    for batch in client.batches():
        meter.batch(batch)
    return meter.stop()


def drain_table(client, asked):
    meter = Meter()
    client.open()
    meter.batch(client.table())
    return meter.stop()


def parquet(client, asked):
    import pyarrow.parquet

    meter = Meter()
    client.open()
    writer = None
    for batch in client.batches():
        meter.batch(batch)
        if writer is None:
            writer = pyarrow.parquet.ParquetWriter(asked.output, batch.schema, compression="zstd")
        writer.write_batch(batch)
    if writer is not None:
        writer.close()
    return meter.stop()


def repeated(work, count):
    work()
    meter = Meter()
    calls = []
    for _ in range(count):
        start = time.perf_counter()
        result = work()
        calls.append(time.perf_counter() - start)
    meter.rows = result if isinstance(result, int) else 0
    return meter.stop(calls)


def warm(client, asked):
    client.open()
    return repeated(lambda: client.table().num_rows, asked.calls)


def schema(client, asked):
    client.open()
    return repeated(client.schema, asked.calls)


def at_once(client, asked):
    client.open()
    with concurrent.futures.ThreadPoolExecutor(asked.queries) as pool:
        workers = client.workers(asked.queries)

        def all_of_them():
            return sum(table.num_rows for table in pool.map(lambda worker: worker(), workers))

        return repeated(all_of_them, asked.calls)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("client", choices=["micromegas", "adbc"])
    parser.add_argument("work", choices=["drain", "drain-table", "parquet", "warm", "schema", "at-once"])
    parser.add_argument("url")
    parser.add_argument("sql")
    parser.add_argument("--preserve-dictionary", action="store_true")
    parser.add_argument("--output")
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--queries", type=int, default=64)
    asked = parser.parse_args()
    client = {"micromegas": Micromegas, "adbc": Adbc}[asked.client](asked)
    work = globals()[asked.work.replace("-", "_")]
    print(json.dumps(work(client, asked)))


main()

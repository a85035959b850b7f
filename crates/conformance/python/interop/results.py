"""How the results of the server lie: in which endpoints, at which of its ports, for how long."""

import datetime
import re
import socket
import time

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.ipc as ipc

import tables

REUSE_CONNECTION = "arrow-flight-reuse-connection://?"
PARTS = 6
KEPT_SECONDS = 1.5
EVENTS = pa.schema([pa.field("call", pa.utf8(), False)])


class Results:
    """What each table name answers with: endpoints, and a stream for each of their tickets."""

    def __init__(self, log):
        self.log = log
        self.locations = {}
        self.parameters = {}
        # What has to be known of the third server.
        self.guarded = None
        self._expires = {}
        # How long the log was when a table was asked for last.
        self._asked = {}
        # Nothing listens there for as long as this socket is bound and does not listen.
        self._dead = socket.socket()
        self._dead.bind(("127.0.0.1", 0))
        self.dead_location = "grpc://127.0.0.1:%d" % self._dead.getsockname()[1]

    def table_of(self, sql):
        """The table after FROM: all of the SQL that this server understands, but for what programs try it with."""
        if re.fullmatch(r"\s*SELECT\s+1\s*;?\s*", sql, re.IGNORECASE):
            return "one", False
        if re.fullmatch(r"\s*SELECT\s.*\$1.*", sql, re.IGNORECASE | re.DOTALL):
            return "parameters", False
        named = re.fullmatch(r"\s*SELECT\s.*\bFROM\s+(\w+)(\s+LIMIT\s+0)?\s*;?\s*", sql, re.IGNORECASE | re.DOTALL)
        if not named:
            raise pa.lib.ArrowInvalid(f"not a SELECT from a table at line 1, column 1: {sql}")
        return self.known(named[1]), bool(named[2])

    def known(self, table):
        """The name of a table; fails for another one."""
        if not hasattr(self, "get_" + table):
            raise pa.lib.ArrowInvalid(f"there is no table {table!r}")
        return table

    def schema_of(self, table):
        told = {
            "types": tables.types,
            "nested": tables.nested,
            "with_metadata": tables.with_metadata,
            "guarded": lambda: self.guarded,
            "parameters": lambda: next(iter(self.parameters.values()), tables.numbers(0, 0)).rename_columns(["n"]),
        }
        if table in told:
            return told[table]().schema
        if "dictionar" in table:
            return getattr(tables, table)()[0].schema
        if table == "large":
            return pa.schema([pa.field("blob", pa.large_binary())])
        return EVENTS if table == "calls" else tables.numbers(0, 0).schema

    def info(self, table, ticket, descriptor):
        """The FlightInfo of a table; `ticket` is what to ask for the first part, and the number of the part follows it."""
        self._asked[table] = len(self.log)
        endpoints = getattr(self, "parts_of_" + table, self._in_one_part)(ticket)
        schema = None if table == "no_schema" else self.schema_of(table)
        ordered = table in ("ordered_parts", "expiring")
        return flight.FlightInfo(schema, descriptor, endpoints, ordered=ordered, app_metadata=f"all of {table}")

    @staticmethod
    def _in_one_part(ticket):
        return [flight.FlightEndpoint(ticket, [])]

    def _in_parts(self, ticket, locations=(), expires=None):
        return [
            flight.FlightEndpoint(ticket + b"#%d" % part, list(locations), expires, app_metadata=f"part {part}")
            for part in range(PARTS)
        ]

    def parts_of_no_endpoints(self, _):
        return []

    def parts_of_parts(self, ticket):
        return self._in_parts(ticket)

    def parts_of_ordered_parts(self, ticket):
        return self._in_parts(ticket)

    parts_of_endless_parts = parts_of_parts

    def parts_of_elsewhere(self, ticket):
        return self._in_parts(ticket, [self.locations["second"]])

    def parts_of_partly_dead(self, ticket):
        return self._in_parts(ticket, [self.dead_location, self.locations["second"]])

    def parts_of_dead(self, ticket):
        return self._in_parts(ticket, [self.dead_location])

    def parts_of_reused(self, ticket):
        return self._in_parts(ticket, [REUSE_CONNECTION, self.dead_location])

    def parts_of_expiring(self, ticket):
        endpoints = self._in_parts(ticket, expires=pa.scalar(self._until(), pa.timestamp("ns", "UTC")))
        for endpoint in endpoints:
            self._expires[endpoint.ticket.ticket] = time.time() + KEPT_SECONDS
        return endpoints

    def renew(self, endpoint):
        """The endpoint for as long again; the log says which part it was."""
        ticket = endpoint.ticket.ticket
        if ticket not in self._expires:
            raise KeyError("an endpoint that does not expire")
        self._expires[ticket] = time.time() + KEPT_SECONDS
        expires = pa.scalar(self._until(), pa.timestamp("ns", "UTC"))
        return flight.FlightEndpoint(ticket, endpoint.locations, expires)

    @staticmethod
    def _until():
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=KEPT_SECONDS)

    def stream(self, table, ticket, only_schema):
        """The stream of a ticket."""
        if only_schema:
            return flight.GeneratorStream(self.schema_of(table), iter(()))
        part = int(ticket.rpartition(b"#")[2]) if b"#" in ticket else None
        if self._expires.get(ticket, time.time() + 1) < time.time():
            raise KeyError("the part has expired")
        return getattr(self, "get_" + self.known(table))(part)

    @staticmethod
    def _part(part):
        share = -(-tables.ROWS // PARTS)
        table = tables.numbers(part * share, min(tables.ROWS, (part + 1) * share))
        # Each batch with metadata of the application, which a client that knows nothing of them has to pass over.
        chunks = ((batch, b"batch of part %d" % part) for batch in table.to_batches(max_chunksize=50))
        return flight.GeneratorStream(table.schema, chunks)

    def get_numbers(self, _):
        return flight.GeneratorStream(tables.numbers().schema, tables.batches_of_numbers())

    get_no_schema = get_numbers

    def get_one(self, _):
        return flight.RecordBatchStream(tables.numbers(1, 2))

    def get_empty(self, _):
        return flight.GeneratorStream(tables.numbers().schema, iter(()))

    get_no_endpoints = get_empty

    def get_parts(self, part, table="parts"):
        # Parts that are fetched one after the other never get past the first.
        if part == 0:
            self._wait_for_call(table, f"DoGet {table}#1")
        return self._part(part)

    def get_ordered_parts(self, part):
        return self.get_parts(part, "ordered_parts")

    def _wait_for_call(self, table, call):
        """Waits for a call that came after the table was asked for."""
        since = self._asked.get(table, 0)
        self.log.wait_for(lambda lines: any(line.endswith(" " + call) for line in lines[since:]), call)

    def get_elsewhere(self, part):
        return self._part(part)

    get_partly_dead = get_dead = get_reused = get_elsewhere

    def get_expiring(self, part):
        if part == 0:
            # The last part has to be renewed while this one is read, and this one is read until it would be gone.
            self._wait_for_call("expiring", "RenewFlightEndpoint expiring#%d" % (PARTS - 1))
            time.sleep(max(0, min(self._expires.values()) - time.time()))
        return self._part(part)

    def get_types(self, _):
        return flight.RecordBatchStream(tables.types())

    def get_nested(self, _):
        return flight.RecordBatchStream(tables.nested())

    def get_with_metadata(self, _):
        return flight.RecordBatchStream(tables.with_metadata())

    def get_dictionaries(self, _):
        return tables.stream(tables.dictionaries())

    def get_growing_dictionaries(self, _):
        return tables.stream(tables.growing_dictionaries(), ipc.IpcWriteOptions(emit_dictionary_deltas=True))

    def get_nested_dictionaries(self, _):
        return tables.stream(tables.nested_dictionaries())

    def get_lz4(self, _):
        return flight.RecordBatchStream(tables.numbers(), ipc.IpcWriteOptions(compression="lz4"))

    def get_zstd(self, _):
        return flight.RecordBatchStream(tables.numbers(), ipc.IpcWriteOptions(compression="zstd"))

    def get_old_format(self, _):
        return flight.RecordBatchStream(
            tables.numbers(), ipc.IpcWriteOptions(metadata_version=ipc.MetadataVersion.V4)
        )

    def get_large(self, _):
        return flight.RecordBatchStream(tables.large())

    def get_big(self, _):
        return flight.RecordBatchStream(tables.numbers(0, tables.BIG_ROWS))

    def get_endless(self, _):
        return flight.GeneratorStream(tables.numbers().schema, self._endless())

    get_endless_parts = get_endless

    def _endless(self):
        whole = tables.numbers().combine_chunks().to_batches()[0]
        try:
            while True:
                yield whole
        finally:
            self.log.note("endless was called off")

    def get_fails_midway(self, _):
        return flight.GeneratorStream(tables.numbers().schema, self._failing())

    @staticmethod
    def _failing():
        yield tables.numbers(0, 10).to_batches()[0]
        raise flight.FlightInternalError("the disk is on fire", b"details of the fire")

    def get_unauthenticated(self, _):
        raise flight.FlightUnauthenticatedError("who is calling?")

    def get_unauthorized(self, _):
        raise flight.FlightUnauthorizedError("not for you")

    def get_unavailable(self, _):
        raise flight.FlightUnavailableError("come back later")

    def get_timed_out(self, _):
        raise flight.FlightTimedOutError("this took too long")

    def get_unsupported(self, _):
        raise NotImplementedError("no such feature")

    def get_parameters(self, _):
        bound = next(iter(self.parameters.values()), tables.numbers(0, 0))
        return flight.RecordBatchStream(bound.rename_columns(["n"]))

    def get_guarded(self, _):
        return flight.RecordBatchStream(self.guarded)

    def get_calls(self, _):
        return flight.RecordBatchStream(pa.table([pa.array(self.log.lines(), pa.utf8())], schema=EVENTS))

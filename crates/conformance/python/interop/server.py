"""A Flight SQL server on pyarrow's C++ stack, for the tests of clients.

It listens on three free ports of 127.0.0.1, says so on standard output, one line each (`listening on grpc://...`), and ends
when its standard input does. The first two are open to all; the third is that of `guarded.py`. `results.py` has its tables, which are named for what is peculiar about them; the table
`calls` is what the server was asked.
"""

import sys

import pyarrow as pa
import pyarrow.flight as flight

import guarded
import metadata
from commands import fields, message, pack, text, unpack
from log import Log
from results import Results

CANCELLED = 1


class Server(flight.FlightServerBase):
    """One port. Each knows all tables; which of them was asked is in the log."""

    def __init__(self, name, results, scheme="grpc", **options):
        super().__init__(f"{scheme}://127.0.0.1:0", **options)
        self.name, self.results = name, results
        self.location = f"{scheme}://127.0.0.1:{self.port}"
        results.locations[name] = self.location

    def note(self, call):
        self.results.log.note(f"{self.name} {call}")

    def get_flight_info(self, context, descriptor):
        name, command = unpack(descriptor.command)
        self.note(f"GetFlightInfo {name}")
        if name == "CommandStatementQuery":
            return self.info_of(text(command, 1, ""), descriptor)
        if name == "CommandPreparedStatementQuery":
            return self.info_of(handle_of(command), descriptor)
        schema = metadata.answer(name, command, self.results).schema
        return flight.FlightInfo(schema, descriptor, [flight.FlightEndpoint(descriptor.command, [])])

    def info_of(self, sql, descriptor):
        table, only_schema = self.results.table_of(sql)
        handle = b"LIMIT 0" if only_schema else b""
        ticket = pack("TicketStatementQuery", f1=table.encode() + b"?" + handle)
        return self.results.info(table, ticket, descriptor)

    def get_schema(self, context, descriptor):
        name, command = unpack(descriptor.command)
        self.note(f"GetSchema {name}")
        if name == "CommandStatementQuery":
            return flight.SchemaResult(self.results.schema_of(self.results.table_of(text(command, 1, ""))[0]))
        return flight.SchemaResult(metadata.answer(name, command, self.results).schema)

    def do_get(self, context, ticket):
        # The number of a part stands behind the message.
        whole, mark, part = ticket.ticket.rpartition(b"#")
        name, command = unpack(whole if mark and part.isdigit() else ticket.ticket)
        if name != "TicketStatementQuery":
            self.note(f"DoGet {name}")
            return flight.RecordBatchStream(metadata.answer(name, command, self.results))
        table, _, rest = text(command, 1).partition("?")
        self.note(f"DoGet {table}" + (f"#{part.decode()}" if mark else ""))
        return self.results.stream(table, ticket.ticket, rest == "LIMIT 0")

    def do_action(self, context, action):
        body = action.body.to_pybytes()
        if action.type == "CreatePreparedStatement":
            sql = text(unpack(body)[1], 1, "")
            self.note("CreatePreparedStatement")
            table, _ = self.results.table_of(sql)
            schema = self.results.schema_of(table)
            wanted = pa.schema([pa.field("n", pa.int64())]) if table == "parameters" else pa.schema([])
            handle = b"prepared:" + sql.encode()
            answer = {"f1": handle, "f2": schema.serialize(), "f3": wanted.serialize()}
            return [pack("ActionCreatePreparedStatementResult", **answer)]
        if action.type == "ClosePreparedStatement":
            self.note("ClosePreparedStatement")
            self.results.parameters.pop(unpack(body)[1][1][0], None)
            return []
        if action.type == "CancelFlightInfo":
            self.note("CancelFlightInfo")
            return [message(f1=CANCELLED)]
        if action.type == "RenewFlightEndpoint":
            endpoint = flight.FlightEndpoint.deserialize(fields(body)[1][0])
            renewed = self.results.renew(endpoint)
            part = endpoint.ticket.ticket.rpartition(b"#")[2].decode()
            self.note(f"RenewFlightEndpoint expiring#{part}")
            return [renewed.serialize()]
        raise NotImplementedError(f"there is no action {action.type}")

    def list_actions(self, context):
        return [
            ("CreatePreparedStatement", "prepares a statement"),
            ("ClosePreparedStatement", "forgets it"),
            ("CancelFlightInfo", "calls a result off"),
            ("RenewFlightEndpoint", "keeps a part for longer"),
        ]

    def do_put(self, context, descriptor, reader, writer):
        name, command = unpack(descriptor.command)
        self.note(f"DoPut {name}")
        if name == "CommandStatementIngest":
            rows = reader.read_all().num_rows
            writer.write(pa.py_buffer(message(f1=rows)))
        elif name == "CommandStatementUpdate":
            writer.write(pa.py_buffer(message(f1=len(text(command, 1)))))
        elif name == "CommandPreparedStatementQuery":
            self.results.parameters[command[1][0]] = reader.read_all()
            writer.write(pa.py_buffer(message(f1=command[1][0])))
        else:
            raise NotImplementedError(f"there is no DoPut of {name}")


def handle_of(command):
    """The statement of a handle."""
    return command[1][0].removeprefix(b"prepared:").decode()


def main():
    results = Results(Log())
    servers = [Server(name, results) for name in ("first", "second")]
    certificates = guarded.Certificates()
    closed = Server("guarded", results, "grpc+tls", **guarded.options(certificates))
    results.guarded = guarded.table(closed.location, certificates)
    servers.append(closed)
    for server in servers:
        print(f"listening on {server.location}", flush=True)
    sys.stdin.read()
    for server in servers:
        server.shutdown()


if __name__ == "__main__":
    main()

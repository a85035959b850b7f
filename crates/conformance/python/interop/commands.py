"""The Protocol Buffers messages of Flight SQL that the server speaks, read and written by hand.

Only what is asked for here: fields that are numbers or bytes. The numbers of the fields are those of Flight.proto and
FlightSql.proto in Arrow's format folder.
"""

PREFIX = "type.googleapis.com/arrow.flight.protocol.sql."


def fields(data):
    """The fields of a message by number, each with all of its values: integers, or bytes."""
    found, place = {}, 0
    while place < len(data):
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(data, place)
        elif kind == 2:
            length, place = _varint(data, place)
            value, place = data[place : place + length], place + length
        else:
            raise ValueError(f"field {number} has the wire type {kind}, which no message of Flight SQL uses here")
        found.setdefault(number, []).append(value)
    return found


def message(**values):
    """A message of fields named `fN`; integers are written as varints, bytes and texts with their length."""
    out = bytearray()
    for name, value in values.items():
        number = int(name[1:])
        if isinstance(value, int):
            out += _written(number << 3) + _written(value)
        else:
            value = value.encode() if isinstance(value, str) else bytes(value)
            out += _written(number << 3 | 2) + _written(len(value)) + value
    return bytes(out)


def unpack(data):
    """The name and the fields of the command in an `Any`, the prefix of all Flight SQL left out."""
    any_fields = fields(data)
    url = any_fields.get(1, [b""])[0].decode()
    if not url.startswith(PREFIX):
        raise ValueError(f"not a Flight SQL command: {url!r}")
    return url[len(PREFIX) :], fields(any_fields.get(2, [b""])[0])


def pack(name, **values):
    """A command in an `Any`."""
    return message(f1=PREFIX + name, f2=message(**values))


def text(found, number, default=None):
    """A field that is text."""
    return found[number][0].decode() if number in found else default


def _varint(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _written(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

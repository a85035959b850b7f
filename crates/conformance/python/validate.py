"""Validates each JSON document of a list on standard input against the JSON schema in a file: prints null, or the reason."""

import json
import sys

import fastjsonschema


def reason(validate, document):
    try:
        validate(document)
        return None
    except fastjsonschema.JsonSchemaValueException as error:
        return error.message


with open(sys.argv[1], encoding="utf-8") as schema:
    validate = fastjsonschema.compile(json.load(schema))
json.dump([reason(validate, document) for document in json.load(sys.stdin)], sys.stdout)

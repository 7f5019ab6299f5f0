#!/usr/bin/python3
"""Holds result files against their schema, docs/*.schema.json.

    results_schema.py [--strict] SCHEMA FILE...

With --strict the schema itself is tested too: every field taken away, every field of another
type and every field too many, in each file, must make it refuse the file.
Exit status: 0 as it must be, 1 not so, 77 the package python3-jsonschema is missing.
"""

import copy
import json
import sys

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed")
    sys.exit(77)

OPTIONAL = {("stages_us",)}  # objects whose every field may be absent
SIGNED = {("conversions", "allocate_us"), ("conversions", "free_us")}  # may be below 0
NULLABLE = {("real_path", "heap"), ("real_path", "gpu"), ("real_path", "nic")}  # names, or null
FREE = {"config"}  # objects whose fields the schema does not know


def objects(value, way=()):
    """Every object of a record that the schema fixes, by the way to it."""
    if isinstance(value, dict):
        if way and way[-1] in FREE:
            return
        yield way
        for key, inner in value.items():
            yield from objects(inner, way + (key,))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from objects(inner, way + (i,))


def at(value, way):
    for step in way:
        value = value[step]
    return value


def name_of(way, key):
    return way[:1] + (key,)


def spoilt(record):
    """Copies of the record that are no valid records, each with what was done to it."""
    for way in objects(record):
        for key, value in at(record, way).items():
            name = "/".join(map(str, way + (key,)))
            if way[-1:] not in OPTIONAL and way[-1:] != ("comparison",):
                bad = copy.deepcopy(record)
                del at(bad, way)[key]
                yield f"without {name}", bad
            others = [[[]], {"no such field": 1}]
            if isinstance(value, bool):
                others = [1, "true", None]
            elif isinstance(value, (int, float)):
                others = [str(value), True] + ([] if name_of(way, key) in SIGNED else [-1])
            elif isinstance(value, str):
                others = [1] + ([] if name_of(way, key) in NULLABLE else [None])
            elif isinstance(value, list):
                others = ["", None, [1.5]]
            for other in others:
                if key in FREE and isinstance(other, dict):
                    continue
                bad = copy.deepcopy(record)
                at(bad, way)[key] = other
                yield f"{name} = {other!r}", bad
        bad = copy.deepcopy(record)
        at(bad, way)["surplus"] = 1
        yield f"with {'/'.join(map(str, way))}/surplus", bad


def main(arguments):
    strict = arguments[:1] == ["--strict"]
    schema_file, *files = arguments[1:] if strict else arguments
    with open(schema_file, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)

    wrong = 0
    tried = 0
    for name in files:
        with open(name, encoding="utf-8") as file:
            record = json.load(file)
        for error in validator.iter_errors(record):
            print(f"{name}: {'/'.join(map(str, error.absolute_path))}: {error.message}")
            wrong += 1
        for what, bad in spoilt(record) if strict else ():
            tried += 1
            if validator.is_valid(bad):
                print(f"{name}: the schema accepts it {what}")
                wrong += 1
    print(f"{len(files)} files held against the schema, {tried} spoilt copies refused")
    return 1 if wrong else 0


sys.exit(main(sys.argv[1:]))

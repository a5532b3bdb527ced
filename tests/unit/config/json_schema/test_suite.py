"""The public suite of JSON Schema: every test of drafts 2020-12 and 7 that needs no server, required and optional."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from firstline.config.json_schema.validator import SchemaFault, Validator

SUITE = Path(__file__).parents[3] / "suites" / "json_schema"
DRAFTS = {
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft7": "http://json-schema.org/draft-07/schema#",
}
#: Formats are assertions here, as people who write them expect; the suite has them as annotations in this file.
ASSERTED = "format.json"
#: Schemas that the suite answers from a server of its own: refused with a sentence, as nothing is fetched.
REFUSED = {
    "strict-tree schema, guards against misspelled properties",
    "tests for implementation dynamic anchor and reference link",
    "$ref and $dynamicAnchor are independent of order - $defs first",
    "$ref and $dynamicAnchor are independent of order - $ref first",
    "$ref to $dynamicRef finds detached $dynamicAnchor",
    "schema that uses custom metaschema with with no validation vocabulary",
    "ignore unrecognized optional vocabulary",
    "schema that uses custom metaschema with format-assertion: false",
    "schema that uses custom metaschema with format-assertion: true",
}


class Group(NamedTuple):
    file: Path
    schema: dict[str, Any]
    description: str
    tests: list[dict[str, Any]]


def groups(draft: str) -> Iterator[Group]:
    for file in sorted((SUITE / draft).rglob("*.json")):
        for group in json.loads(file.read_text()):
            schema = group["schema"]
            schema = schema if isinstance(schema, dict) else ({} if schema else {"not": {}})
            yield Group(file, {"$schema": DRAFTS[draft], **schema}, group["description"], group["tests"])


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_test_of_the_suite_is_answered_as_it_says(draft):
    wrong, count = [], 0
    for group in groups(draft):
        if group.description in REFUSED:
            continue
        validator = Validator(group.schema)
        for test in group.tests:
            expected = test["valid"]
            if group.file.name == ASSERTED and "only an annotation" in test["description"]:
                expected = False
            count += 1
            if validator.is_valid(test["data"]) is not expected:
                wrong.append((group.file.name, group.description, test["description"]))
    assert wrong == []
    assert count > 1_600


def test_a_schema_that_needs_a_server_is_refused_with_a_sentence():
    refused = [group for group in groups("draft2020-12") if group.description in REFUSED]
    assert len(refused) == len(REFUSED)
    for group in refused:
        with pytest.raises(SchemaFault, match=r"nothing is fetched|expected a draft"):
            Validator(group.schema)

"""The schema holds everything of the contract, exactly as it is written there."""

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)

from graph.schema import create_schema, schema_text
from tests.graph.desk import HOUSE

CONTRACT = build_schema((Path(__file__).parent / "contract.graphql").read_text("utf-8"))
OURS = build_schema(schema_text())
TYPES = [name for name in CONTRACT.type_map if not name.startswith("__")]


def signature(schema: GraphQLSchema, name: str) -> dict[str, str]:
    """Every part of a type that a client can depend on, by name, as text."""
    type_ = schema.type_map[name]
    parts = {"": type(type_).__name__}
    if isinstance(type_, GraphQLEnumType):
        parts |= dict.fromkeys(type_.values, "value")
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        parts |= {f"implements {interface.name}": "" for interface in type_.interfaces}
        for field_name, field in type_.fields.items():
            parts[field_name] = str(field.type)
            for argument_name, argument in field.args.items():
                parts[f"{field_name}({argument_name}:)"] = f"{argument.type} = {default(argument)}"
    if isinstance(type_, GraphQLInputObjectType):
        for field_name, input_field in type_.fields.items():
            parts[field_name] = f"{input_field.type} = {default(input_field)}"
    return parts


def default(value: object) -> str:
    literal = getattr(getattr(value, "ast_node", None), "default_value", None)
    return "nothing" if literal is None else str(literal.value)


@pytest.mark.parametrize("name", TYPES)
def test_each_type_is_as_the_contract_has_it(name: str) -> None:
    contract, ours = signature(CONTRACT, name), signature(OURS, name)
    assert {part: ours.get(part, "missing") for part in contract} == contract


@pytest.mark.parametrize("name", TYPES)
def test_what_was_added_obliges_no_client(name: str) -> None:
    contract, ours = signature(CONTRACT, name), signature(OURS, name)
    added = [part for part in ours if part not in contract and ours[part].endswith("! = nothing")]
    assert [part for part in added if "(" not in part or part.partition("(")[0] in contract] == []


def test_the_exported_schema_has_not_drifted() -> None:
    assert (HOUSE / "schema.graphql").read_text("utf-8") == schema_text(), "run `make schema`"


def test_the_parts_of_the_contract_are_really_compared() -> None:
    assert signature(CONTRACT, "Query")["sessions(first:)"] == "Int = 20"
    assert signature(CONTRACT, "Mutation")["logout(everywhere:)"] == "Boolean! = False"
    assert "implements TurnEvent" in signature(CONTRACT, "AnswerDelta")


def test_every_type_and_root_field_is_described() -> None:
    schema = create_schema()._schema
    inputs = [name for name in TYPES if name.endswith("Input")]
    roots = [schema.query_type, schema.mutation_type, schema.subscription_type]
    undescribed = [
        f"{root.name}.{name}" for root in roots if root for name, f in root.fields.items() if not f.description
    ]
    undescribed += [
        name
        for name, type_ in schema.type_map.items()
        if not type_.description
        and not name.startswith("__")
        and name not in (*inputs, "Query", "Mutation", "Subscription")
    ]
    assert [name for name in undescribed if not name.endswith("Edge")] == []

"""Rules of the validation: graphql-core's, with less patience, and those that Strawberry adds."""

from collections.abc import Sequence
from typing import Any

from graphql import ASTValidationRule, NoUnusedVariablesRule, OverlappingFieldsCanBeMergedRule, ValidationContext
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

MAX_COMPARISONS = 5_000
"""In graphql-core's units, about 1.5 µs each. Whether fields of one name can be merged is asked for each two of them."""


class MergeableFields(OverlappingFieldsCanBeMergedRule):
    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = MAX_COMPARISONS


class UsedVariables(NoUnusedVariablesRule):
    def enter_fragment_definition(self, *_: Any) -> None:
        """Only experimental syntax, which is not parsed, lets a fragment declare variables. Those that it reads are
        looked for where an operation spreads it."""


_OURS: dict[Any, Any] = {
    OverlappingFieldsCanBeMergedRule: MergeableFields,
    NoUnusedVariablesRule: UsedVariables,
}


def impatient(rules: Sequence[type[ASTValidationRule]]) -> list[type[ASTValidationRule]]:
    return [*(_OURS.get(rule, rule) for rule in rules), MaybeNullValidationRule, OneOfInputValidationRule]

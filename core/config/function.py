"""The `function:` of a model's YAML: how tool calls are asked for and found in what the model writes."""

from __future__ import annotations

from pydantic import BaseModel

from core.config.scalars import Bool, Words


class Replacement(BaseModel, frozen=True):
    """`key` is a regular expression, `value` what it becomes."""

    key: str = ""
    value: str = ""


class FunctionGrammar(BaseModel, frozen=True):
    disable: Bool | None = None
    parallel_calls: Bool | None = None
    mixed_mode: Bool | None = None
    no_mixed_free_string: Bool | None = None
    disable_parallel_new_lines: Bool | None = None
    expect_strings_after_json: Bool | None = None
    prefix: str | None = None
    properties_order: str | None = None
    schema_type: str | None = None


class Function(BaseModel, frozen=True):
    disable_no_action: Bool | None = None
    no_action_function_name: str | None = None
    no_action_description_name: str | None = None
    function_name_key: str | None = None
    function_arguments_key: str | None = None
    return_name_in_function_response: Bool | None = None
    response_regex: Words = ()
    json_regex_match: Words = ()
    argument_regex: Words = ()
    argument_regex_key_name: str | None = None
    argument_regex_value_name: str | None = None
    capture_llm_results: Words = ()
    replace_llm_results: tuple[Replacement, ...] = ()
    replace_function_results: tuple[Replacement, ...] = ()
    grammar: FunctionGrammar = FunctionGrammar()

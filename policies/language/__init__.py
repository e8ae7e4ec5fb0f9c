"""The administrator's language: parsed YAML -> `PolicySet`, with every mistake of every file at once.

The schema is `language_parts`; `policy_schema` publishes it for editors. Names that stand for something elsewhere (a
ladder, a role, a milestone, a template) are looked up while the schema is checked, and `language_checks` looks at what
one part alone cannot show, so that a wrong name and a wrong shape come in one list.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from policies.complaints import problems_of
from policies.errors import PolicyError, Problem
from policies.language.checks import across_parts, names_of, policies_named_twice
from policies.language.parts import PolicyFile
from policies.language.words import ROLES, KnownNames
from policies.model import PolicySet, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ROLES", "TESTS", "KnownNames", "parse_policies", "policy_schema", "policy_version"]

TESTS = "tests"


def parse_policies(trees: Mapping[str, object], known: KnownNames | None = None) -> PolicySet:
    """Turn the trees of all policy files, by file name, into the policies in force and the trials beside them.

    Raises:
        PolicyError: with every mistake of every file; each path begins with the file's name.
    """
    names = known or KnownNames()
    problems: list[Problem] = []
    files: dict[str, PolicyFile] = {}
    for name in sorted(trees):
        parsed = _parse(name, trees[name], names, problems)
        if parsed is not None:
            files[name] = parsed
    problems += policies_named_twice(trees)
    if problems:
        raise PolicyError(tuple(problems))
    policies = {file.policy: file.value(names) for file in files.values()}
    return PolicySet(policy_version(trees), policies, tuple(_trials(trees, files, names)))


def _parse(name: str, tree: object, known: KnownNames, problems: list[Problem]) -> PolicyFile | None:
    found = [Problem((name, *each.path), each.message, each.hint) for each in across_parts(tree, known)]
    problems += found
    try:
        parsed = PolicyFile.model_validate(tree, context=names_of(tree, known))
    except ValidationError as error:
        problems += problems_of(error, PolicyFile, tree, under=(name,))
        return None
    return None if found else parsed


def _trials(trees: Mapping[str, object], files: Mapping[str, PolicyFile], known: KnownNames) -> Iterator[Trial]:
    for name, file in files.items():
        names = names_of(trees[name], known)
        yield from (trial.value(index, file.policy, names) for index, trial in enumerate(file.tests))


def policy_version(trees: Mapping[str, object]) -> str:
    """SHA-256 over what all files say, whatever their names, comments and order of keys; people see 12 digits.

    `tests:` are not part of it: they say what the policy should do and change nothing it does.
    """
    canonical = sorted(
        json.dumps(_in_force(tree), ensure_ascii=False, sort_keys=True, default=str) for tree in trees.values()
    )
    return hashlib.sha256("\n".join(canonical).encode()).hexdigest()


def _in_force(tree: object) -> object:
    if not isinstance(tree, dict):
        return tree
    return {key: value for key, value in cast("dict[str, object]", tree).items() if key != TESTS}


# --- the schema for editors -----------------------------------------------------------------------------------


def policy_schema() -> dict[str, Any]:
    """The JSON Schema of one policy file, for editors."""
    schema = cast("dict[str, Any]", _without_titles(PolicyFile.model_json_schema()))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "duban policy (督办策略)",
    }


def _without_titles(node: object) -> object:
    """The library names every part after its variable: an editor would show `Within` above what it means."""
    if isinstance(node, list):
        return [_without_titles(item) for item in cast("list[object]", node)]
    if not isinstance(node, dict):
        return node
    entries = cast("dict[str, object]", node)
    return {
        key: _without_titles(value) for key, value in entries.items() if not (key == "title" and isinstance(value, str))
    }

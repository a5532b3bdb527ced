"""References between steps: which names a reference, a condition or a step points at."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from firstline.schemas.plan import EACH, Step

#: What is always there besides the steps: the item's fields, and all items' outputs.
ITEM, ITEMS = "item", "items"


@dataclass(frozen=True, slots=True)
class Target:
    """What a reference points at: `classify.intent` is field `intent` of `classify`; no field: the whole."""

    name: str
    field: str | None = None


def target(reference: str) -> Target | None:
    """Return what a reference points at; None for a literal (`=text`)."""
    if reference.startswith("="):
        return None
    name, dot, field = reference.partition(".")
    return Target(name, field if dot else None)


def condition_targets(expression: str) -> tuple[Target, ...]:
    """Return what a condition looks at; SyntaxError when it is no expression."""
    tree = ast.parse(expression.strip(), mode="eval")
    own = {node.id for part in ast.walk(tree) if isinstance(part, ast.comprehension) for node in _names(part.target)}
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return tuple(found for found in _targets(tree.body, called) if found.name not in own)


def _targets(node: ast.AST, called: set[int]) -> Iterator[Target]:
    match node:
        case ast.Name() if id(node) not in called:
            yield Target(node.id)
        case ast.Attribute() if _chain(node) is not None:
            # The last name of a called chain is a method: `classify.label.lower()`.
            parts = (_chain(node) or ())[: -1 if id(node) in called else None]
            yield Target(parts[0], ".".join(parts[1:]) or None)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _targets(child, called)


def _chain(node: ast.expr) -> tuple[str, ...] | None:
    match node:
        case ast.Name():
            return (node.id,)
        case ast.Attribute():
            around = _chain(node.value)
            return (*around, node.attr) if around else None
    return None


def target_of(node: ast.expr) -> Target | None:
    """Return what a part of a condition points at; None where it is no name or field."""
    chain = _chain(node)
    return Target(chain[0], ".".join(chain[1:]) or None) if chain else None


def _names(node: ast.AST) -> Iterator[ast.Name]:
    return (part for part in ast.walk(node) if isinstance(part, ast.Name))


def dependencies(step: Step) -> tuple[str, ...]:
    """Return the names of the steps that must have ended before this one: those it names, and those it reads from."""
    references = [*step.inputs.values(), *filter(None, (step.for_each,))]
    read = (found for reference in references if (found := target(reference)))
    asked = condition_targets(step.when) if step.when else ()
    names = [*step.after, *(found.name for found in (*read, *asked)), *filter(None, (step.reviews,))]
    return tuple(dict.fromkeys(name for name in names if name not in (ITEM, ITEMS, EACH)))

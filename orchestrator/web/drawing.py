"""A plan as a drawing: steps in columns by what they wait for, and curves between them; pure geometry."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from firstline.schemas.base import Frozen

WIDTH, HEIGHT = 216, 112
_GAP_X, _GAP_Y, _EDGE = 64, 28, 12


class Box(Frozen):
    """Where a step stands."""

    name: str
    x: int
    y: int


class Curve(Frozen):
    """A line from a step to one that waits for it."""

    source: str
    target: str
    path: str


class Drawing(Frozen):
    """Boxes and curves, and the size of the whole."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    curves: tuple[Curve, ...]


def draw(needs: Mapping[str, Sequence[str]]) -> Drawing:
    """Return the drawing of steps (name -> names it waits for): longest-path layering, left to right.

    Direct waits that follow from others are left out (transitive reduction), so that a line means a handing-over.
    """
    columns = _columns(needs)
    places: dict[str, Box] = {}
    tallest = max((len(names) for names in columns), default=0)
    for column, names in enumerate(columns):
        offset = (tallest - len(names)) * (HEIGHT + _GAP_Y) // 2
        for row, name in enumerate(names):
            x, y = _EDGE + column * (WIDTH + _GAP_X), _EDGE + offset + row * (HEIGHT + _GAP_Y)
            places[name] = Box(name=name, x=x, y=y)
    curves = [_curve(places[source], places[name]) for name in places for source in _direct(name, needs)]
    return Drawing(
        width=2 * _EDGE + max(1, len(columns)) * (WIDTH + _GAP_X) - _GAP_X,
        height=2 * _EDGE + max(1, tallest) * (HEIGHT + _GAP_Y) - _GAP_Y,
        boxes=tuple(places.values()),
        curves=tuple(curves),
    )


def _columns(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    known = {name: [one for one in before if one in needs] for name, before in needs.items()}
    try:
        order = list(TopologicalSorter(known).static_order())
    except CycleError:
        # Half-finished in an editor: show the steps all the same.
        return [list(known)]
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth[one] for one in known[name]), default=-1)
    return [[name for name in needs if depth[name] == column] for column in range(max(depth.values(), default=-1) + 1)]


def _direct(name: str, needs: Mapping[str, Sequence[str]]) -> list[str]:
    before = [one for one in needs[name] if one in needs]
    return [one for one in before if not any(other != one and _reaches(other, one, needs, set()) for other in before)]


def _reaches(name: str, wanted: str, needs: Mapping[str, Sequence[str]], seen: set[str]) -> bool:
    if name in seen:
        return False
    seen.add(name)
    return any(one == wanted or _reaches(one, wanted, needs, seen) for one in needs.get(name, ()))


def _curve(source: Box, target: Box) -> Curve:
    x1, y1 = source.x + WIDTH, source.y + HEIGHT // 2
    x2, y2 = target.x - 7, target.y + HEIGHT // 2
    bend = max(28, (x2 - x1) // 2)
    path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return Curve(source=source.name, target=target.name, path=path)

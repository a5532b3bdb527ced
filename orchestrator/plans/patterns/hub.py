"""Hub and spoke: several skills look at each item side by side, and one brings together what they say."""

from collections.abc import Sequence

from firstline.schemas.errors import UserError
from firstline.schemas.plan import Step


def hub_and_spoke(spokes: Sequence[Step], hub: Step) -> tuple[Step, ...]:
    """Return spokes that do not wait for each other, and a hub that waits for all and is shown their answers.

    A hub of scope `item` brings together the spokes of its own item and waits for no other item; one of kind
    `synthesize` brings together all items. Its inputs are the spokes' answers under their names where it says none.
    """
    names = [spoke.name for spoke in spokes]
    tied = [spoke.name for spoke in spokes if set(spoke.after) & set(names)]
    if tied:
        raise UserError(f"expected spokes that do not wait for each other; '{tied[0]}' waits for another spoke")
    inputs = hub.inputs or {name: name for name in names}
    return (*spokes, hub.evolve(inputs=inputs, after=tuple({*hub.after, *names})))

"""Categories and sets: texts that have to be among the declared levels and members."""

from collections.abc import Iterable, Sequence

from feature_store.documents import did_you_mean
from service.decisioning.rules import nodes
from service.decisioning.rules.errors import ExpressionError, Place
from service.decisioning.rules.typed import Category, Members, Text

MOST_LISTED = 12


def level_in(place: Place, category: Category, wanted: Iterable[Text]) -> nodes.Flag:
    """Whether the category has one of these levels.

    Raises:
        ExpressionError: one of them is none of its levels.
    """
    names = {text.text for text in wanted}
    levels = category.feature.levels
    for name in sorted(names):
        _check(place, name, f"a level of {category.feature.name}", levels)
    return nodes.level(category.index, [level in names for level in levels])


def member(place: Place, text: Text, members: Members) -> nodes.Flag:
    """Whether the set holds a member.

    Raises:
        ExpressionError: it can't.
    """
    names = members.feature.members
    _check(place, text.text, f"a member of {members.feature.name}", names)
    return nodes.Bit(members.start + members.feature.codes[text.text])


def texts(members: Members) -> list[Text]:
    """The members that a set may have, as texts that remember it."""
    return [Text(name, members.feature) for name in members.feature.members]


def check_comparable(place: Place, left: Text, right: Text) -> None:
    """A member of a set is compared with a text that may be one.

    Raises:
        ExpressionError: it can't be.
    """
    for one, other in ((left, right), (right, left)):
        if one.among is not None and other.among is None:
            _check(place, other.text, f"a member of {one.among.name}", one.among.members)


def quantified(macro: str, members: Members, bodies: Sequence[nodes.Flag]) -> nodes.Flag:
    """`exists` or `all` over a set; `bodies` has a flag for each member that it may have.

    Members that the customer does not have take no part; a set that is missing is an error.
    """
    bits = [nodes.Bit(index) for index in range(members.start, members.stop)]
    if macro == "exists":
        joined = nodes.disjunction(
            nodes.conjunction((bit, body)) for bit, body in zip(bits, bodies, strict=True)
        )
    else:
        joined = nodes.conjunction(
            nodes.disjunction((nodes.negation(bit), body)) for bit, body in zip(bits, bodies, strict=True)
        )
    return joined if members.feature.default is not None else nodes.Known(members.start, joined)


def _check(place: Place, name: str, what: str, names: Sequence[str]) -> None:
    if name not in names:
        listed = ", ".join(names[:MOST_LISTED]) + (", ..." if len(names) > MOST_LISTED else "")
        raise ExpressionError(place, f"'{name}' is not {what} ({listed}){did_you_mean(name, names)}")

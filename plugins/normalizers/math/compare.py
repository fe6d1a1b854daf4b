r"""Are two answers the same? One cascade over shapes; how two single values are compared is handed in.

Three-valued throughout: True, False, or None where this comparison cannot tell. In the main process values are
compared exactly (`exact.ExactLeaves`); a worker process adds numeric comparison (`slow.NumericLeaves`).

Conventions, the same for every benchmark:

* order: `(1, 2)` is ordered, `1, 2` and `{1, 2}` are not; `(1, 2)` equals `1, 2` in that order only;
* brackets of pairs matter (an interval or a point), brackets of longer tuples do not;
* repetitions count in a list, not in a set;
* names: `x = 5` is 5, `f(x) = 2x` is 2x, `x + y = 5` is not 5; `x = 5` is not `y = 5`, though each is 5;
  different names in one answer keep its parts in order: `a = 1, b = 2` is `1, 2`, never `2, 1`;
  equations are equal up to a factor; the variable of an interval has no say;
* units: a unit behind a value may be left out, but two different known units differ; currency signs are dropped;
* degrees: `45^\circ` is 45 (sign left out) and pi/4 (its value);
* percent: `50%` is 0.5 (its value), and for numbers from 1 on it is also 50 (sign left out). Where neither side
  writes a percent sign nothing is ever multiplied by 100;
* a number in a written base equals no plain number; bases are compared by value;
* decimals are exact, unless one side is written with ten digits or more (computed: then to its last place) or the
  gold is rounded (see `judge`).

Equality is symmetric and reflexive. What one side may leave out makes it wider than equality of keys: 5 cm is 5
and 5 is 5 m. A vote stays whole all the same: answers that equal the gold vote with the gold, all others vote by
their keys, and a key holds everything that is compared here (`keys`), so answers with one key are judged alike.
"""

from __future__ import annotations

from .exact import EXACT_LEAVES, ExactLeaves
from .forms import as_relation, bracket, half_open, names, rows, same_role, single, vector
from .keys import exact_key, node_key
from .nodes import Node
from .shape import STRUCTURES, labels, symbols, unlabelled
from .tidy import squash
from .words import unit_key

_MAX_PAIRWISE = 60


class Comparer:
    """The cascade. Symmetric: `same(a, b)` is `same(b, a)`."""

    def __init__(self, leaves: ExactLeaves) -> None:
        self.leaves = leaves

    def same(self, a: Node, b: Node) -> bool | None:
        a, b = single(a), single(b)
        if a.op == "rel" or b.op == "rel":
            return self.relations(a, b)
        if a.op == "eq" or b.op == "eq":
            return self.equations(a, b)
        if a.op == "text" or b.op == "text":
            if any(node.op != "text" and (node.op != "sym" or len(node.value) < 2) for node in (a, b)):
                return False
            return bool(squash(a.value).casefold() == squash(b.value).casefold())
        if a.op in STRUCTURES or b.op in STRUCTURES:
            return self.structures(a, b)
        return self.single_values(a, b)

    # -- lists, tuples, sets, matrices

    def structures(self, a: Node, b: Node) -> bool | None:
        if b.op in ("bag", "set") and a.op not in ("bag", "set"):
            a, b = b, a
        if a.op in ("bag", "set"):
            return self.unordered(a, b)
        if a.op == "matrix" or b.op == "matrix":
            a, b = rows(a) or a, rows(b) or b
        left, right = vector(a), vector(b)
        if left is not None and right is not None:
            if a.op == b.op == "seq" and len(left) == 2 and a.value != b.value and bracket(a) != bracket(b):
                return False
            return self.in_order(list(left), list(right))
        if a.op == "matrix" and b.op == "matrix":
            return a.value == b.value and self.in_order(list(a.args), list(b.args))
        if a.op == b.op == "union":
            return self.in_any_order(list(a.args), list(b.args))
        if a.op == b.op and a.op in ("inter", "setminus"):
            return self.in_order(list(a.args), list(b.args)) or None
        return None if "inter" in (a.op, b.op) or "setminus" in (a.op, b.op) else False

    def unordered(self, a: Node, b: Node) -> bool | None:
        """A list or set `a` and another structure or value."""
        if b.op in ("bag", "set"):
            return self.bags(a, b)
        if a.op == "bag" and b.op == "union":  # x < 1 or x > 2
            return self.in_any_order([unlabelled(item) or item for item in a.args], list(b.args))
        if a.op == "bag":
            ordered = vector(b)
            if ordered is not None and not half_open(b):
                return self.in_order([unlabelled(item) or item for item in a.args], list(ordered))
        return None if b.op in ("inter", "setminus") else False

    def bags(self, a: Node, b: Node) -> bool | None:
        left, right = list(a.args), list(b.args)
        names_l, names_r = names(left), names(right)
        if names_l and names_r and len(set(names_l)) == len(names_l) and sorted(names_l) == sorted(names_r):
            by_name = dict(zip(names_r, right, strict=True))
            return self.in_order(
                [unlabelled(item) or item for item in left],
                [unlabelled(by_name[name]) or by_name[name] for name in names_l],
            )
        if any(item.op == "eq" for item in (*left, *right)):
            named = [found for found in (names_l, names_r) if found]
            # a = 1, b = 2 says which is which; x_1 = 1, x_2 = 2 are two values of x
            distinct = any(len({name[:1] for name in found}) == len(found) > 1 for found in named)
            if not (distinct and len(named) == 1) and (equal := self.in_any_order(left, right)):
                return equal
            left, right = [unlabelled(i) or i for i in left], [unlabelled(i) or i for i in right]
            if distinct:
                return self.in_order(left, right)
        if a.op == "set":
            left = self.distinct(left)
        if b.op == "set":
            right = self.distinct(right)
        return self.in_any_order(left, right)

    def distinct(self, items: list[Node]) -> list[Node]:
        kept: list[Node] = []
        for item in items[:_MAX_PAIRWISE]:
            if not any(self.same(item, other) for other in kept):
                kept.append(item)
        return [*kept, *items[_MAX_PAIRWISE:]]

    def in_order(self, left: list[Node], right: list[Node]) -> bool | None:
        if len(left) != len(right):
            return False
        known: bool | None = True
        for x, y in zip(left, right, strict=True):
            same = self.same(x, y)
            if same is False:
                return False
            if same is None:
                known = None
        return known

    def in_any_order(self, left: list[Node], right: list[Node]) -> bool | None:
        """Whether the items can be paired off."""
        if len(left) != len(right):
            return False
        keys_l, keys_r = (
            sorted(node_key(item, exact_key) or "" for item in items) for items in (left, right)
        )
        if keys_l == keys_r and "" not in keys_l:
            return True
        if len(left) > _MAX_PAIRWISE:
            return self.in_order(left, right) or (False if "" not in (*keys_l, *keys_r) else None)
        table = [[self.same(x, y) for y in right] for x in left]
        if any(all(same is False for same in row) for row in table):
            return False
        if _pairing([[same is True for same in row] for row in table]):
            return True
        return None if _pairing([[same is not False for same in row] for row in table]) else False

    # -- equations and inequalities

    def equations(self, a: Node, b: Node) -> bool | None:
        if a.op != "eq":
            a, b = b, a
        if b.op != "eq":
            value = unlabelled(a)
            if value is None:
                return False
            if b.op == "bag" and labels(a.args[0]) and value.op not in STRUCTURES:
                return False
            return self.same(value, b)
        if len(a.args) == len(b.args) == 2:
            straight = self.in_order(list(a.args), list(b.args))
            if straight or self.in_order(list(a.args), list(reversed(b.args))):
                return True
        value_a, value_b = unlabelled(a), unlabelled(b)
        unknown = False
        if value_a is not None and value_b is not None:
            structures = value_a.op in STRUCTURES or value_b.op in STRUCTURES
            if same_role(a, b) or structures:
                same = self.same(value_a, value_b)
                if structures and not same and (one := as_relation(a)) and (other := as_relation(b)):
                    return self.relations(one, other)  # y > 1 - x and x > 1 - y
                if same or structures or not (symbols(value_a) or symbols(value_b)):
                    return same
                unknown = same is None
        if len(a.args) == len(b.args) == 2 and not any(part.op in STRUCTURES for part in (*a.args, *b.args)):
            proportional = self.leaves.proportional((a.args[0], a.args[1]), (b.args[0], b.args[1]), False)
            return None if proportional is False and unknown else proportional
        return None if unknown else False

    def relations(self, a: Node, b: Node) -> bool | None:
        a, b = as_relation(a) or a, as_relation(b) or b
        if a.op != b.op or len(a.args) != len(b.args):
            return False
        if a.value == b.value:
            straight = self.in_order(list(a.args), list(b.args))
            if straight:
                return True
        if len(a.args) == 2 and a.value == b.value and a.value[0] in ("<", "<=", "!="):
            return self.leaves.proportional(
                (a.args[0], a.args[1]), (b.args[0], b.args[1]), a.value[0] != "!="
            )
        return None if a.value == b.value and straight is None else False

    # -- single values

    def single_values(self, a: Node, b: Node) -> bool | None:
        if a.op == "unit" or b.op == "unit":
            if a.op == b.op:
                unit_a, unit_b = unit_key(a.value), unit_key(b.value)
                if unit_a is not None and unit_b is not None and unit_a != unit_b:
                    return False
            elif {a.op, b.op} & {"percent", "degree"} and unit_key(
                (a if a.op == "unit" else b).value
            ) is not None:
                return False
            return self.same(a.args[0] if a.op == "unit" else a, b.args[0] if b.op == "unit" else b)
        if a.op in ("percent", "degree") and b.op in ("percent", "degree"):
            return self.same(a.args[0], b.args[0]) if a.op == b.op else self.leaves.same(a, b)
        if b.op in ("percent", "degree"):
            a, b = b, a
        if a.op in ("percent", "degree"):
            value = self.leaves.same(a, b)
            if value or (a.op == "percent" and self.below_one(b)):
                return value
            plain = self.same(a.args[0], b)
            return True if plain else None if plain is None or value is None else False
        if (a.op == "based") != (b.op == "based"):
            return False  # asked for in base 8, "42" is no answer
        # times of day and 1:2:3 are no quotients
        if a.op == b.op == "ratio" and ((a.value and b.value) or len(a.args) != 2 or len(b.args) != 2):
            return self.in_order(list(a.args), list(b.args))
        return self.leaves.same(a, b)

    def below_one(self, node: Node) -> bool:
        value = self.leaves.value(node)
        number = None if value is None else value.rational
        return number is not None and abs(number) < 1


def _pairing(table: list[list[bool]]) -> bool:
    """Whether every row can have a column of its own (augmenting paths)."""
    owner: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, allowed in enumerate(table[row]):
            if allowed and column not in seen:
                seen.add(column)
                if column not in owner or place(owner[column], seen):
                    owner[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(table)))


EXACT = Comparer(EXACT_LEAVES)

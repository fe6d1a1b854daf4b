"""Tokens -> tree: a recursive-descent parser for the mathematics that answers are written in.

    answer   := list (";" list)*                     "1,2;3,4" is two tuples
    list     := relation (("," | "and" | "or") relation)*
    relation := sum (("=" | "<" | "\\in" | ...) sum)*
    sum      := product (("+" | "-" | "\\pm" | "\\cup" | ...) product)*
    product  := factor (["*" | "/" | "\\mod"] factor)*        mixed numbers and units are read here
    factor   := atom ("^" ... | "!" | "%" | "_" ...)*

Nothing is evaluated here. Depth is limited by a counter, length and number of tokens by the tokenizer.
"""

from __future__ import annotations

from fractions import Fraction

from .atoms import SUMS, Atoms
from .build import bag_of, flat, is_domain, negated, numeric, sum_of
from .nodes import Node, Unparsed
from .remarks import after_result_word, numbered, with_unit_signs, without_remarks
from .tokens import Token, tokenize
from .words import CONDITIONS, DEGREES, FUNCTIONS, ORDINALS, SCALES, UNIT_LETTERS, UNITS

_RELATIONS = {
    "=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "le": "<=", "ge": ">=", "ne": "!=",
    "approx": "~", "equiv": "=", "in": "in", "notin": "notin", "subset": "sub", "subseteq": "sub", "supset": "sup",
    "supseteq": "sup", "to": "to", "->": "to", "=>": "to",
}  # fmt: skip
_SET_OPERATIONS = {"cup": "union", "cap": "inter", "setminus": "setminus"}
_NONE = frozenset[str]()


def parse(text: str, thousands: bool = True, sentence: bool = True, upright: bool = False) -> Node:
    """The tree of a tidied answer.

    Args:
        text: the answer.
        thousands: read "1,234" outside brackets as one number.
        sentence: of a sentence ("The area is 5") read only what its verb leads to.
        upright: read letters apart from the number before them as units: "5 m" is five metres.

    Raises:
        Unparsed: it is no mathematics that this grammar covers, or it is over a limit of `nodes`.

    >>> parse("1/2").op
    'div'
    """
    tokens = without_remarks(tokenize(text, thousands))
    if numbered(tokens):
        tokens = with_unit_signs(tokens, upright)
    if sentence:
        tokens = after_result_word(tokens)
    try:
        return _whole(Parser(list(tokens)))
    except Unparsed:
        if sum(token.text == "|" for token in tokens) < 4:
            raise
        return _whole(Parser(tokens, nested_bars=True))  # ||x||y||


def _whole(parser: Parser) -> Node:
    node = parser.answer()
    if parser.at < len(parser.tokens):
        raise Unparsed(f"unexpected {parser.peek().text!r}")
    return node


class Parser(Atoms):
    """The upper half: lists, relations, sums and products."""

    # -- lists and relations

    def answer(self) -> Node:
        groups = self.groups(_NONE)
        if not groups:
            raise Unparsed("empty")
        if len(groups) == 1:
            return bag_of(groups[0])
        if all(len(group) == 1 for group in groups):
            return Node("bag", tuple(group[0] for group in groups))
        return Node("bag", tuple(Node("seq", tuple(group), ("(", ")")) for group in groups))

    def groups(self, closers: frozenset[str]) -> list[list[Node]]:
        """Comma lists, separated by semicolons, up to a closing bracket."""
        groups: list[list[Node]] = []
        items: list[Node] = []
        while True:
            token = self.peek()
            if token.kind == "end" or (token.kind == "op" and token.text in closers):
                break
            if token.kind == "sep" or (token.kind == "op" and token.text == ","):
                self.at += 1
                if self.peek().text == "approx" and self.peek().kind == "cmd" and items:
                    self.relation()  # "1/6, or about 16.7 %": the answer again
            elif token.kind == "op" and token.text == ";":
                self.at += 1
                if items:
                    groups.append(items)
                    items = []
            elif token.kind in ("text", "word") and self.is_condition(token) and (items or groups):
                while self.peek().kind != "end" and not (
                    self.peek().kind == "op" and self.peek().text in closers
                ):
                    self.at += 1
            else:
                item = self.relation()
                if not (items and is_domain(item)):
                    items.append(item)
                token = self.peek()
                if token.kind == "text" and self.is_condition(token):
                    continue
                ended = token.kind in ("end", "sep")
                if not ended and not (token.kind == "op" and (token.text in ",;" or token.text in closers)):
                    raise Unparsed(f"unexpected {token.text!r}")
        if items:
            groups.append(items)
        return groups

    def is_condition(self, token: Token) -> bool:
        first = token.text.lstrip(" (,").split(" ", 1)[0].lower()
        return first in CONDITIONS

    def relation_sign(self) -> str | None:
        token = self.peek()
        if token.kind in ("op", "cmd"):
            if token.text == "not" and self.peek(1).text in ("=", "in"):
                self.at += 1
                return "!=" if self.peek().text == "=" else "notin"
            return _RELATIONS.get(token.text)
        return None

    def relation(self) -> Node:
        if self.relation_sign() in ("=", "~"):  # "= 5": the left side was left out
            self.at += 1
        parts = [self.sets()]
        signs: list[str] = []
        while (sign := self.relation_sign()) is not None:
            self.at += 1
            if sign == "~" and (self.peek().kind in ("end", "sep") or self.is_op(",", ")")):
                break  # "12 approx."
            if sign in ("<", ">") and self.take_op("="):
                sign += "="
            elif sign == "=" and self.is_op("<", ">"):
                sign = self.next().text + "="
            signs.append(sign)
            congruent = self.tokens[self.at - 1].text == "equiv"
            parts.append(self.sets())
            if congruent and parts[-1].op == "fn" and parts[-1].value == "mod":
                parts[-1] = parts[-1]._replace(value="pmod")
        for at in range(1, len(parts) - 1):
            if parts[at].op == "union" and len(parts[at].args) == 2:  # "x < -1 \\cup x > 1": two conditions
                left, right = parts[at].args
                first = Node("rel", (*parts[:at], left), tuple(signs[:at]))
                return Node("bag", (first, Node("rel", (right, *parts[at + 1 :]), tuple(signs[at:]))))
        return Node("rel", tuple(parts), tuple(signs)) if signs else parts[0]

    def sets(self) -> Node:
        left = self.sum()
        while self.peek().kind == "cmd" and self.peek().text in _SET_OPERATIONS:
            op = _SET_OPERATIONS[self.next().text]
            right = self.sum()
            left = Node(op, (*left.args, right) if left.op == op and op == "union" else (left, right))
        if self.peek().kind == "cmd" and self.peek().text in ("over", "choose"):
            division = self.next().text == "over"
            pair = (left, self.sum())
            return Node("div", pair) if division else Node("fn", pair, "binom")
        return self.ratio(left) if self.is_op(":") and left.op != "seq" else left

    def ratio(self, left: Node) -> Node:
        """3:2, 1:2:3, or a time of day: 12:30 p.m."""
        parts, timely, unit = [left], left.op == "num", None
        while self.take_op(":"):
            clock = self.peek()
            timely = timely and clock.kind == "num" and len(clock.text) == 2
            right = self.sum()
            if right.op == "unit":
                right, unit = right.args[0], right.value
            parts.append(right)
        node = Node("ratio", tuple(parts), timely)
        return node if unit is None else Node("unit", (node,), unit)

    # -- sums and products

    def sum(self) -> Node:
        self.enter()
        sign = self.sum_sign()
        node = self.product()
        if sign == "sub":
            node = negated(node)
        elif sign in ("pm", "mp"):
            node = Node(sign, (Node("num", (), Fraction(0)), node))
        terms = [node]
        while (sign := self.sum_sign()) is not None:
            right = self.product()
            if sign in ("pm", "mp"):
                terms = [Node(sign, (sum_of(terms), right))]
            else:
                terms.append(negated(right) if sign == "sub" else right)
        self.depth -= 1
        return sum_of(terms)

    def sum_sign(self) -> str | None:
        sign: str | None = None
        while (token := self.peek()).kind in ("op", "cmd") and token.text in SUMS:
            self.at += 1
            this = SUMS[token.text]
            if sign is None or sign == "add":
                sign = this
            elif this == "sub" and sign == "sub":
                sign = "add"
            elif this not in ("add", sign):
                raise Unparsed("signs in a row")
        return sign

    def product(self) -> Node:
        node = self.factor()
        plain = node if node.op in ("num", "dec") else None  # a bare number: may begin a mixed number
        while True:
            token = self.peek()
            if token.kind == "op" and token.text in "*/":
                self.at += 1
                right = self.signed_factor()
                node = Node("mul", (node, right)) if token.text == "*" else Node("div", (node, right))
                plain = None
            elif token.kind == "cmd" and token.text in ("mod", "pmod"):
                self.at += 1
                node, plain = Node("fn", (node, self.signed_factor()), token.text), None
            elif token.kind == "text" or self.is_unit(token, node):
                if token.kind == "text" and self.is_condition(token):
                    return node
                node, plain = self.unit(node), None
            elif token.kind == "cmd" and token.text == "frac" and (unit := self.unit_fraction(node)):
                node, plain = Node("unit", (node,), unit), None
            elif self.starts_factor(token):
                mixed = self.mixed(plain) if plain is not None else None
                if mixed is not None:
                    node, plain = mixed, None
                    continue
                if token.kind == "num" and (plain is None or token.spaced):
                    # "x2" is a product, "10 11" is no number; "3 1\frac12" is
                    follows = self.peek(1)
                    if plain is not None and not (follows.kind == "cmd" and follows.text == "frac"):
                        raise Unparsed("two numbers in a row")
                applied = node.op == "sym" and token.kind == "op" and token.text == "("
                right = self.factor()
                if right.op == "num" and (mixed := self.mixed(right)) is not None:
                    right = mixed
                # f(x) is read as a product, which is right for either meaning as long as both sides are read alike
                if right.op in ("percent", "degree"):  # 2\pi\% is 2\pi percent
                    node, plain = Node(right.op, (Node("mul", (node, right.args[0])),)), None
                    continue
                node, plain = Node("apply" if applied else "mul", (node, right)), None
            else:
                return node

    def signed_factor(self) -> Node:
        self.enter()
        sign = self.sum_sign()
        node = self.factor()
        self.depth -= 1
        if sign in ("pm", "mp"):
            return Node(sign, (Node("num", (), Fraction(0)), node))
        return negated(node) if sign == "sub" else node

    def mixed(self, whole: Node) -> Node | None:
        """The fraction that makes a mixed number of the integer just read, or None (nothing is consumed)."""
        if whole.op != "num" or whole.value.denominator != 1:
            return None
        start, token = self.at, self.peek()
        if token.kind == "cmd" and token.text == "frac":
            right = self.factor()
            mark, fraction = (right.op, right.args[0]) if right.op in ("percent", "degree") else ("", right)
            if fraction.op == "div":
                above, below = fraction.args
                if above.op == below.op == "num" and 0 < above.value < below.value:
                    mixed = Node("add", (whole, fraction))
                    return Node(mark, (mixed,)) if mark else mixed
            self.at = start
        elif (
            token.kind == "num" and token.spaced and token.text.isdigit() and self.peek(1) == Token("op", "/")
        ):
            number = self.peek(2)
            if number.text.isdigit() and 0 < int(token.text) < int(number.text) and self.peek(3).text != "^":
                self.at += 3
                return Node("add", (whole, Node("num", (), Fraction(int(token.text), int(number.text)))))
        return None

    def is_unit(self, token: Token, before: Node) -> bool:
        if token.kind == "let":
            # an upright letter, or that of a temperature; "5 m" in italics is 5 times m
            upright = token.roman and token.text in UNIT_LETTERS
            return (upright or (before.op == "degree" and token.text in "CF")) and numeric(before)
        name = token.text.lower()
        if token.kind != "word" or name in FUNCTIONS or token.text in FUNCTIONS or not numeric(before):
            return False
        return name in UNITS or name in ORDINALS or len(token.text) >= 4

    def unit(self, node: Node) -> Node:
        """Words behind a value: its unit, with powers, slashes and further words."""
        names: list[str] = []
        while True:
            token = self.peek()
            if token.kind in ("text", "word") or (token.kind == "let" and (token.roman or not names)):
                if token.kind == "text" and self.is_condition(token):
                    break
                names.append(token.text)
                self.at += 1
            elif token.kind == "op" and token.text in "^_" and names:
                self.at += 1
                names.append("^" + flat(self.script()))
            elif (
                token.kind == "op"
                and token.text in "*/"
                and (self.peek(1).kind in ("text", "word") or (self.peek(1).kind == "let" and names))
            ):
                self.at += 1
                names.append(token.text)
                if self.peek().kind == "let":
                    names.append(self.next().text)
            else:
                break
        scale, _, rest = names[0].partition(" ") if names else ("", "", "")
        if scale.lower() in SCALES:  # 3 million dollars
            node = Node("mul", (node, Node("num", (), Fraction(SCALES[scale.lower()]))))
            names = [*([rest] if rest else []), *names[1:]]
        if len(names) == 1 and names[0].lower().rstrip(".") in DEGREES:
            return node if node.op == "degree" else Node("degree", (node,))
        return Node("unit", (node,), " ".join(names)) if names else node

    def unit_fraction(self, node: Node) -> str | None:
        """The unit that is written as a fraction, \\frac{\\text{m}}{\\text{s}^2}; consumes it if there is one."""
        if not numeric(node):
            return None
        names: list[str] = []
        level, groups, upright = 0, 0, False
        for ahead in range(1, 30):
            token = self.peek(ahead)
            if token.kind == "op" and token.text in "{}":
                level += 1 if token.text == "{" else -1
                groups += level == 0
                if groups == 2:
                    if not upright:
                        return None
                    self.at += ahead + 1
                    return " ".join(names)
                if groups and not level:
                    names.append("/")
            elif level and (token.kind in ("text", "num") or token.roman or token.text in "^-"):
                names.append(token.text)
                upright = upright or token.kind == "text" or token.roman
            else:
                return None
        return None

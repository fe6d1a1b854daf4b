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

from .nodes import MAX_DEPTH, MAX_DIGITS, Node, Unparsed
from .tokens import ACCENTS, DOMAINS, END, GREEK, KNOWN, Token, tokenize
from .words import CONDITIONS, FUNCTIONS, INVERSES, RESULT_WORDS, UNITS, word_set

_RELATIONS = {
    "=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=", "le": "<=", "ge": ">=", "ne": "!=",
    "approx": "~", "equiv": "=", "in": "in", "notin": "notin", "subset": "sub", "subseteq": "sub", "supset": "sup",
    "supseteq": "sup", "to": "to", "->": "to", "=>": "to",
}  # fmt: skip
_SUMS = {"+": "add", "-": "sub", "pm": "pm", "mp": "mp"}
_SET_OPERATIONS = {"cup": "union", "cap": "inter", "setminus": "setminus"}
_CLOSERS = {"(": (")", "]"), "[": ("]", ")"), "{": ("}",), "\\{": ("\\}", "}")}
_BRACKETS = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil"), "langle": ("rangle", "seq")}
_FACTOR_COMMANDS = GREEK | ACCENTS | frozenset(FUNCTIONS) | frozenset(DOMAINS.values())
_FACTOR_COMMANDS |= word_set(
    "frac sqrt binom boxed pi infty emptyset lfloor lceil langle begin sum prod ldots reals"
)
_ENVIRONMENTS = word_set("matrix pmatrix bmatrix Bmatrix smallmatrix array")
_NONE = frozenset[str]()

ONE = Node("num", (), Fraction(1))
MINUS_ONE = Node("num", (), Fraction(-1))


def parse(text: str, thousands: bool = True, sentence: bool = True) -> Node:
    """The tree of a tidied answer.

    Args:
        text: the answer.
        thousands: read "1,234" outside brackets as one number.
        sentence: of a sentence ("The area is 5") read only what its verb leads to.

    Raises:
        Unparsed: it is no mathematics that this grammar covers, or it is over a limit of `nodes`.

    >>> parse("1/2").op
    'div'
    """
    tokens = tokenize(text, thousands)
    parser = _Parser(_after_result_word(tokens) if sentence else tokens)
    node = parser.answer()
    if parser.at < len(parser.tokens):
        raise Unparsed(f"unexpected {parser.peek().text!r}")
    return node


def _after_result_word(tokens: list[Token]) -> list[Token]:
    """In a sentence ("The area is 5") only what follows the last "is" is the answer."""
    count = 0
    for index in range(len(tokens) - 1, -1, -1):
        token = tokens[index]
        if token.kind == "word" and token.text.lower() in RESULT_WORDS:
            count = index + 1
            break
        if token.kind == "text":
            last = token.text.rstrip(" :").rpartition(" ")[2].lower()
            if last in RESULT_WORDS or token.text.endswith((":", "=")):
                count = index + 1
                break
    if count and any(t.kind in ("word", "text") for t in tokens[: count - 1] or tokens[:count]):
        return tokens[count:]
    return tokens


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0  # open |absolute values|

    # -- reading tokens

    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else END

    def next(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def is_op(self, *signs: str) -> bool:
        token = self.peek()
        return token.kind == "op" and token.text in signs

    def take_op(self, *signs: str) -> bool:
        if self.is_op(*signs):
            self.at += 1
            return True
        return False

    def expect(self, *signs: str) -> str:
        if not self.is_op(*signs):
            raise Unparsed(f"expected {signs[0]!r}, found {self.peek().text!r}")
        return self.next().text

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unparsed("nested too deeply")

    # -- lists and relations

    def answer(self) -> Node:
        groups = self.groups(_NONE)
        if not groups:
            raise Unparsed("empty")
        if len(groups) == 1:
            return _bag(groups[0])
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
                if not (items and _is_domain(item)):
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
            if sign == "<" and self.is_op("="):
                self.at += 1
                sign = "<="
            elif sign == ">" and self.is_op("="):
                self.at += 1
                sign = ">="
            signs.append(sign)
            parts.append(self.sets())
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
            node = _negated(node)
        elif sign in ("pm", "mp"):
            node = Node(sign, (Node("num", (), Fraction(0)), node))
        terms = [node]
        while (sign := self.sum_sign()) is not None:
            right = self.product()
            if sign in ("pm", "mp"):
                terms = [Node(sign, (_sum(terms), right))]
            else:
                terms.append(_negated(right) if sign == "sub" else right)
        self.depth -= 1
        return _sum(terms)

    def sum_sign(self) -> str | None:
        sign: str | None = None
        while (token := self.peek()).kind in ("op", "cmd") and token.text in _SUMS:
            self.at += 1
            this = _SUMS[token.text]
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
            elif token.kind == "cmd" and token.text == "mod":
                self.at += 1
                node, plain = Node("fn", (node, self.signed_factor()), "mod"), None
            elif token.kind == "text" or (token.kind == "word" and self.is_unit(token, node)):
                if token.kind == "text" and self.is_condition(token):
                    return node
                node, plain = self.unit(node), None
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
        return _negated(node) if sign == "sub" else node

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
        name = token.text.lower()
        if name in FUNCTIONS or token.text in FUNCTIONS or not _numeric(before):
            return False
        return name in UNITS or len(token.text) >= 4

    def unit(self, node: Node) -> Node:
        """Words behind a value: its unit, with powers, slashes and further words."""
        names: list[str] = []
        while True:
            token = self.peek()
            if token.kind == "text" or token.kind == "word":
                if token.kind == "text" and self.is_condition(token):
                    break
                names.append(token.text)
                self.at += 1
            elif token.kind == "op" and token.text == "^" and names:
                self.at += 1
                names.append("^" + _flat(self.script()))
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
        return Node("unit", (node,), " ".join(names)) if names else node

    # -- factors

    def starts_factor(self, token: Token) -> bool:
        if token.kind in ("num", "let", "word"):
            return True
        if token.kind == "op":
            return token.text in ("(", "[", "{", "\\{", "...") or (token.text == "|" and self.bars == 0)
        return token.kind == "cmd" and (token.text in _FACTOR_COMMANDS or token.text not in KNOWN)

    def factor(self) -> Node:
        self.enter()
        node = self.atom()
        while True:
            token = self.peek()
            if token.kind != "op":
                break
            if token.text == "^":
                self.at += 1
                node = self.power(node)
            elif token.text == "!":
                self.at += 1
                node = Node("fn", (node,), "factorial2" if self.take_op("!") else "factorial")
            elif token.text == "%":
                self.at += 1
                node = Node("percent", (node,))
            elif token.text == "'":
                self.at += 1
                if node.op == "sym":
                    node = Node("sym", (), node.value + "'")
            elif token.text == "_" and node.op in ("seq", "sym"):
                self.at += 1
                node = _subscripted(node, _flat(self.script()))
            else:
                break
        self.depth -= 1
        return node

    def power(self, base: Node) -> Node:
        token = self.peek()
        if token.kind == "cmd" and token.text == "circ":
            self.at += 1
            return Node("degree", (base,))
        if token.kind == "op" and token.text == "'":
            while self.take_op("'"):
                base = Node("sym", (), base.value + "'") if base.op == "sym" else base
            return base
        exponent = self.script()
        if exponent.op == "sym" and exponent.value == "\\circ":
            return Node("degree", (base,))
        if exponent.op == "sym" and set(exponent.value) == {"'"}:
            return Node("sym", (), base.value + exponent.value) if base.op == "sym" else base
        if exponent.op == "text":  # 12^{\text{th}}
            return base
        if self.is_op("_") and base.op == "sym":  # x^2_a
            self.at += 1
            base = _subscripted(base, _flat(self.script()))
        return Node("pow", (base, exponent))

    def script(self) -> Node:
        """What stands behind ^ or _: a group, or a single token as TeX reads it (whole numbers as people do)."""
        self.enter()
        token = self.peek()
        if token.kind == "op" and token.text == "{":
            self.at += 1
            if self.take_op("}"):
                raise Unparsed("empty script")
            if self.peek().kind == "cmd" and self.peek().text == "circ":
                self.at += 1
                node = Node("sym", (), "\\circ")
            elif self.is_op("'"):
                primes = 0
                while self.take_op("'"):
                    primes += 1
                node = Node("sym", (), "'" * primes)
            elif self.peek().kind == "text" and self.peek(1).text == "}":
                node = Node("text", (), self.next().text)
            elif (
                self.peek().kind == "word" and self.peek(1).text == "}" and self.peek().text not in FUNCTIONS
            ):
                word = self.next().text
                node = _letters(word) if len(word) < 3 else Node("sym", (), word)
                if word in ("th", "st", "nd", "rd"):
                    node = Node("text", (), word)
            else:
                items = [item for group in self.groups(frozenset("}")) for item in group]
                node = items[0] if len(items) == 1 else Node("seq", tuple(items), ("(", ")"))
            self.expect("}")
        elif token.kind == "op" and token.text in "+-":
            sign = self.sum_sign()
            node = self.script()
            node = _negated(node) if sign == "sub" else node
        elif token.kind == "text":
            self.at += 1
            node = Node("text", (), token.text)
        elif token.kind == "num":
            self.at += 1  # x^2_a: the subscript is not the number's
            node = Node("num", (), _fraction(token.text))
        elif token.kind == "word" and token.text not in FUNCTIONS:
            # TeX takes one letter; the rest stands behind the script
            self.tokens[self.at : self.at + 1] = [Token("let", c) for c in token.text]
            node = self.atom()
        else:
            node = self.atom()
        self.depth -= 1
        return node

    def atom(self) -> Node:
        token = self.next()
        kind, text = token.kind, token.text
        if kind == "num":
            return self.number(token)
        if kind == "let":
            return _letter(text)
        if kind == "word":
            return self.word(token)
        if kind == "text":
            return Node("text", (), text)
        if kind == "op":
            if text in _CLOSERS:
                return self.bracket(text)
            if text == "|" and self.bars < MAX_DEPTH:
                self.bars += 1
                self.take_op("|")  # \| norm, read as | |
                doubled = self.tokens[self.at - 1].text == "|" and self.tokens[self.at - 2] is token
                node = self.sum()
                self.expect("|")
                if doubled:
                    self.expect("|")
                self.bars -= 1
                return Node("fn", (node,), "abs")
            if text == "...":
                return Node("sym", (), "...")
            if text == "]":  # ]a, b[
                return self.french()
        if kind == "cmd":
            return self.command(text)
        raise Unparsed(f"unexpected {text!r}" if kind != "end" else "ends too early")

    def number(self, token: Token) -> Node:
        text = token.text
        following = self.peek()
        if following.kind == "op" and following.text == "_" and text.isdigit():
            self.at += 1
            base = self.script()
            if base.op == "num" and base.value.denominator == 1:
                return Node("based", (), (text.lstrip("0") or "0", int(base.value)))
            raise Unparsed("subscript on a number")
        if following.kind == "cmd" and following.text in ("overline", "dot") and "." in text:
            self.at += 1
            repeat = self.script()
            digits = self.tokens[self.at - 2].text if repeat.op == "num" else ""
            if digits.isdigit():
                places = len(text.partition(".")[2])
                period = Fraction(int(digits), 10**places * (10 ** len(digits) - 1))
                return Node("num", (), _fraction(text) + period)
            raise Unparsed("overline")
        value = _fraction(text)
        mantissa = text.lower().partition("e")[0]
        if "." in text or mantissa != text:
            digits = mantissa.replace(".", "").lstrip("0")
            return Node("dec", (), (value, len(digits), _last_place(text)))
        return Node("num", (), value)

    def word(self, token: Token) -> Node:
        text = token.text
        if text in FUNCTIONS:
            return self.function(FUNCTIONS[text])
        if text.lower() in FUNCTIONS and len(text) > 2 and self.is_op("("):
            return self.function(FUNCTIONS[text.lower()])
        if text.lower() in ("pi", "infinity", "infty", "inf", "oo"):
            return Node("const", (), "pi" if text.lower() == "pi" else "inf")
        if text == "frac" and self.is_op("{"):
            return self.command(text)
        if text == "boxed" and self.is_op("{"):
            return self.atom()
        if len(text) >= 4:
            return Node("sym", (), text)
        self.at -= 1
        self.tokens[self.at : self.at + 1] = [
            Token("let", c, token.spaced if i == 0 else False) for i, c in enumerate(text)
        ]
        return self.atom()

    def bracket(self, opening: str) -> Node:
        self.enter()
        bars, self.bars = self.bars, 0
        if opening in ("{", "\\{"):
            self.skip_set_builder()
        groups = self.groups(frozenset(_CLOSERS[opening]))
        closing = self.expect(*_CLOSERS[opening])
        self.bars = bars
        self.depth -= 1
        return _bracketed(opening, groups, closing)

    def skip_set_builder(self) -> None:
        """{x | x > 5} and {x \\in R : x > 5} say what their condition says."""
        if self.peek().kind != "let":
            return
        ahead = 1
        if self.peek(1).kind == "cmd" and self.peek(1).text == "in" and self.peek(2).kind in ("let", "cmd"):
            ahead = 3
        if self.peek(ahead).kind == "op" and self.peek(ahead).text in ("|", ":"):
            following = self.peek(ahead + 1)
            if (
                following.kind != "num"
                or self.peek(ahead + 2).kind != "op"
                or self.peek(ahead + 2).text not in "}\\}"
            ):
                self.at += ahead + 1

    def french(self) -> Node:
        self.enter()
        groups = self.groups(frozenset({"[", "]"}))
        closing = self.expect("[", "]")
        self.depth -= 1
        if [len(group) for group in groups] not in ([2], [1, 1]):
            raise Unparsed("unbalanced bracket")
        items = [item for group in groups for item in group]
        return Node("seq", tuple(items), ("(", ")" if closing == "[" else "]"))

    def command(self, name: str) -> Node:
        if name in GREEK:
            return Node("sym", (), "\\" + name)
        if name == "pi":
            return Node("const", (), "pi")
        if name == "infty":
            return Node("const", (), "inf")
        if name == "emptyset":
            return Node("set")
        if name == "reals":
            return _REALS
        if name in DOMAINS.values():
            return Node("sym", (), "\\" + name)
        if name == "frac":
            return Node("div", (self.argument(), self.argument()))
        if name == "binom":
            return Node("fn", (self.argument(), self.argument()), "binom")
        if name == "sqrt":
            return self.root()
        if name == "boxed":
            return self.argument()
        if name == "ldots":
            return Node("sym", (), "...")
        if name in FUNCTIONS:
            return self.function(FUNCTIONS[name])
        if name in _BRACKETS:
            closer, function = _BRACKETS[name]
            self.enter()
            bars, self.bars = self.bars, 0
            items = [self.relation()]
            while self.take_op(","):
                items.append(self.relation())
            if self.next().text != closer:
                raise Unparsed("unbalanced bracket")
            self.bars = bars
            self.depth -= 1
            if function == "seq":
                return Node("seq", tuple(items), ("(", ")"))
            return Node("fn", (items[0],), function)
        if name in ACCENTS:
            return Node("sym", (), f"{name}({_flat(self.argument())})")
        if name in ("sum", "prod"):
            return self.big(name)
        if name == "begin":
            return self.environment()
        if name not in KNOWN:
            return Node("sym", (), "\\" + name)  # a name of the author's own
        raise Unparsed(f"unknown command {name!r}")

    def argument(self) -> Node:
        """One argument of a command: a group, or a single digit or letter as TeX reads it."""
        self.enter()
        token = self.peek()
        if token.kind == "num" and len(token.text) > 1 and token.text.isdigit():
            # \frac12: one digit each
            self.tokens[self.at : self.at + 1] = [
                Token("num", token.text[0], token.spaced), Token("num", token.text[1:], False)
            ]  # fmt: skip
        elif token.kind == "word":
            self.tokens[self.at : self.at + 1] = [Token("let", c) for c in token.text]
        if self.peek().kind in ("end", "sep", "text"):
            raise Unparsed("missing argument")
        number = self.peek().kind == "num"
        node = Node("num", (), _fraction(self.next().text)) if number else self.atom()
        self.depth -= 1
        return node

    def root(self) -> Node:
        degree: Node | None = None
        if self.take_op("["):
            degree = self.sum()
            self.expect("]")
        if degree is None and self.peek().kind == "num":
            radicand = self.number(self.next())  # "\sqrt 23" is the root of 23
        elif degree is None and self.is_op("("):
            radicand = self.atom()
        else:
            radicand = self.argument()
        return Node("root", (radicand, degree or Node("num", (), Fraction(2))))

    def function(self, name: str) -> Node:
        if name == "sqrt" or name == "cbrt":
            argument = self.atom() if self.is_op("(", "{") else self.argument()
            return Node("root", (argument, Node("num", (), Fraction(2 if name == "sqrt" else 3))))
        exponent: Node | None = None
        base: Node | None = None
        while self.is_op("^", "_"):
            if self.next().text == "^":
                exponent = self.script()
            else:
                base = self.script()
        if exponent == MINUS_ONE and name in INVERSES:
            name, exponent = INVERSES[name], None
        self.enter()
        arguments = self.arguments(name)
        self.depth -= 1
        if name == "log" and base is not None:
            node = Node("div", (Node("fn", arguments, "ln"), Node("fn", (base,), "ln")))
        elif name == "lg":
            node = Node(
                "div", (Node("fn", arguments, "ln"), Node("fn", (Node("num", (), Fraction(10)),), "ln"))
            )
        elif name == "log":
            node = Node("fn", arguments, "ln")
        elif name == "exp":
            node = Node("pow", (Node("const", (), "e"), arguments[0]))
        elif base is not None:
            raise Unparsed("subscript on a function")
        else:
            node = Node("fn", arguments, name)
        return node if exponent is None else Node("pow", (node, exponent))

    def arguments(self, name: str) -> tuple[Node, ...]:
        if self.is_op("(", "{", "\\{", "["):
            inner = self.factor() if self.is_op("{") else self.atom()
            if inner.op in ("seq", "set"):
                if not inner.args:
                    raise Unparsed("empty argument")
                return inner.args
            return (inner,)
        # \sin 2t, \ln xy: factors up to the next operator, function or bracket
        node = self.signed_factor() if self.peek().text in _SUMS else self.factor()
        while (token := self.peek()).kind in ("num", "let") or (
            token.kind == "cmd" and (token.text in GREEK or token.text in ("pi", "frac", "sqrt"))
        ):
            node = Node("mul", (node, self.factor()))
        if node.op != "fn" and self.is_op("/") and self.peek(1).kind == "num" and _numeric(node):
            self.at += 1  # \cos\pi/4
            node = Node("div", (node, self.factor()))
        return (node,)

    def big(self, name: str) -> Node:
        low = high = None
        while self.is_op("_", "^"):
            if self.next().text == "_":
                low = self.script()
            else:
                high = self.script()
        if (
            low is None
            or high is None
            or low.op != "rel"
            or low.value != ("=",)
            or low.args[0].op not in ("sym", "const")
        ):
            raise Unparsed("bounds of a sum")
        body = self.product()
        return Node("big", (body, low.args[1], high), (name, low.args[0].value))

    def environment(self) -> Node:
        name = self.group_word()
        if name not in _ENVIRONMENTS:
            raise Unparsed(f"environment {name!r}")
        if name == "array" and self.is_op("{"):
            while not self.take_op("}"):
                if self.next().kind == "end":
                    raise Unparsed("unbalanced group")
        self.enter()
        rows: list[list[Node]] = [[]]
        while True:
            token = self.peek()
            if token.kind == "cmd" and token.text == "end":
                self.at += 1
                if self.group_word() != name:
                    raise Unparsed("environments cross")
                break
            if token.kind == "op" and token.text == "\\\\":
                self.at += 1
                rows.append([])
            elif token.kind == "op" and token.text == "&":
                self.at += 1
            else:
                rows[-1].append(self.relation())
        self.depth -= 1
        rows = [row for row in rows if row]
        if not rows or len({len(row) for row in rows}) != 1:
            raise Unparsed("ragged matrix")
        return Node("matrix", tuple(cell for row in rows for cell in row), len(rows[0]))

    def group_word(self) -> str:
        self.expect("{")
        token = self.next()
        self.expect("}")
        return token.text


# -- building nodes


_INFINITY = Node("const", (), "inf")
_REALS = Node("seq", (Node("mul", (MINUS_ONE, _INFINITY)), _INFINITY), ("(", ")"))


def _is_domain(node: Node) -> bool:
    """k in Z: a condition, no answer, where it stands behind one."""
    if node.op != "rel" or node.value != ("in",):
        return False
    domain = node.args[1]
    return domain == _REALS or (domain.op == "sym" and domain.value[1:] in DOMAINS.values())


def _bag(items: list[Node]) -> Node:
    return items[0] if len(items) == 1 else Node("bag", tuple(items))


def _sum(terms: list[Node]) -> Node:
    return terms[0] if len(terms) == 1 else Node("add", tuple(terms))


def _negated(node: Node) -> Node:
    if node.op == "num":
        return Node("num", (), -node.value)
    if node.op == "dec":
        return Node("dec", (), (-node.value[0], *node.value[1:]))
    if node.op in ("unit", "percent", "degree"):
        return Node(node.op, (_negated(node.args[0]),), node.value)
    return Node("mul", (MINUS_ONE, node))


def _letter(text: str) -> Node:
    return Node("const", (), text) if text in "ie" else Node("sym", (), text)


def _letters(word: str) -> Node:
    node = _letter(word[0])
    for letter in word[1:]:
        node = Node("mul", (node, _letter(letter)))
    return node


def _subscripted(node: Node, script: str) -> Node:
    return Node("sym", (), f"{node.value}_{script}") if node.op == "sym" else node


def _bracketed(opening: str, groups: list[list[Node]], closing: str) -> Node:
    items = [item for group in groups for item in group]
    if opening == "\\{" or (opening == "{" and len(items) != 1):
        if len(groups) > 1 and any(len(group) > 1 for group in groups):
            items = [Node("seq", tuple(group), ("(", ")")) for group in groups]
        return Node("set", tuple(items))
    if len(items) == 1:
        return items[0]
    if not items:
        raise Unparsed("empty brackets")
    return Node("seq", tuple(items), (opening, closing))


def _numeric(node: Node) -> bool:
    """Whether a node is made of numbers only, so that a word behind it must be a unit."""
    stack, steps = [node], 0
    while stack:
        node, steps = stack.pop(), steps + 1
        if steps > 100 or node.op in ("sym", "text", "rel") or (node.op == "const" and node.value == "i"):
            return False
        stack.extend(node.args)
    return True


def _fraction(text: str) -> Fraction:
    mantissa, _, exponent = text.lower().partition("e")
    shift = int(exponent) if exponent and len(exponent) < 8 else 0
    if exponent and (len(exponent) >= 8 or abs(shift) > MAX_DIGITS):
        raise Unparsed("exponent out of bounds")
    whole, _, places = mantissa.partition(".")
    value = Fraction(int(whole + places or "0"), 10 ** len(places)) if places else Fraction(int(whole or "0"))
    return value * Fraction(10) ** shift if shift else value


def _last_place(text: str) -> Fraction:
    """One unit in the last place that was written: 0.01 for "3.14"."""
    mantissa, _, exponent = text.lower().partition("e")
    return Fraction(10) ** ((int(exponent) if exponent else 0) - len(mantissa.partition(".")[2]))


def _flat(node: Node) -> str:
    """A subscript as text: equal subscripts give equal texts."""
    if node.op == "num":
        return str(node.value)
    if node.op in ("sym", "const", "text"):
        return str(node.value).replace(" ", "")
    if node.op == "mul":
        return "".join(_flat(arg) for arg in node.args)
    if node.op == "dec":
        return str(node.value[0])
    return f"{node.op}[{','.join(_flat(arg) for arg in node.args)}]"

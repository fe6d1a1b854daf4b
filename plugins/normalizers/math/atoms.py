"""The lower half of the parser: factors, from numbers and letters to functions, roots, sums and matrices.

factor := atom ("^" ... | "!" | "%" | "_" ...)*
"""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction

from .build import (
    MINUS_ONE,
    POSITIVE,
    REALS,
    bag_of,
    bracketed,
    flat,
    fraction,
    last_place,
    letter,
    letters,
    negated,
    numeric,
    subscripted,
)  # fmt: skip
from .environments import Environments
from .nodes import MAX_DEPTH, Node, Unparsed
from .tokens import ACCENTS, DOMAINS, GREEK, KNOWN, Token
from .words import BASES, FUNCTIONS, INVERSES, NUMBERS, word_set

SUMS = {"+": "add", "-": "sub", "pm": "pm", "mp": "mp"}
CLOSERS = {"(": (")", "]"), "[": ("]", ")"), "{": ("}",), "\\{": ("\\}", "}")}
BRACKETS = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil"), "langle": ("rangle", "seq")}
FACTOR_COMMANDS = GREEK | ACCENTS | frozenset(FUNCTIONS) | frozenset(DOMAINS.values())
FACTOR_COMMANDS |= word_set(
    "frac sqrt binom boxed pi infty emptyset lfloor lceil langle begin sum prod ldots reals"
)


_D = Node("sym", (), "d")
_ANY_NUMBER = word_set("max min gcd lcm")


class Atoms(Environments):
    """Reads one factor. What stands inside its brackets is read by the upper half."""

    @abstractmethod
    def groups(self, closers: frozenset[str]) -> list[list[Node]]:
        """Comma lists, separated by semicolons, up to a closing bracket."""

    @abstractmethod
    def sum(self) -> Node: ...

    @abstractmethod
    def sum_sign(self) -> str | None: ...

    @abstractmethod
    def product(self) -> Node: ...

    @abstractmethod
    def signed_factor(self) -> Node: ...

    # -- factors

    def starts_factor(self, token: Token) -> bool:
        if token.kind in ("num", "let", "word"):
            return True
        if token.kind == "op":
            if token.text == "|":
                return self.bars == 0 or (self.nested_bars and self.opens_bars())
            return token.text in ("(", "{", "\\{", "...") or (token.text == "[" and not self.in_french)
        return token.kind == "cmd" and (token.text in FACTOR_COMMANDS or token.text not in KNOWN)

    def opens_bars(self) -> bool:
        """Whether a bar inside bars opens others: a value follows, and enough bars are left to close them all."""
        if self.peek(1).kind not in ("num", "let", "cmd", "word"):
            return False
        left = sum(token.text == "|" for token in self.tokens[self.at + 1 :])
        return left > self.bars and (left - self.bars) % 2 == 1

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
                node = subscripted(node, flat(self.script()))
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
        if exponent.op == "sym" and (
            exponent.value == "\\circ" or (exponent.value in "oO" and numeric(base))
        ):
            return Node("degree", (base,))
        if exponent.op == "sym" and set(exponent.value) == {"'"}:
            return Node("sym", (), base.value + exponent.value) if base.op == "sym" else base
        if exponent.op == "text":  # 12^{\text{th}}
            return base
        if self.is_op("_") and base.op == "sym":  # x^2_a
            self.at += 1
            base = subscripted(base, flat(self.script()))
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
                node = letters(word) if len(word) < 3 else Node("sym", (), word)
                if word in ("th", "st", "nd", "rd"):
                    node = Node("text", (), word)
            else:
                items = [item for group in self.groups(frozenset("}")) for item in group]
                node = items[0] if len(items) == 1 else Node("seq", tuple(items), ("(", ")"))
            self.expect("}")
        elif token.kind == "op" and token.text in "+-":
            sign = self.sum_sign()
            node = self.script()
            node = negated(node) if sign == "sub" else node
        elif token.kind == "text":
            self.at += 1
            node = Node("text", (), token.text)
        elif token.kind == "num":
            self.at += 1  # x^2_a: the subscript is not the number's
            node = Node("num", (), fraction(token.text))
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
            return letter(text)
        if kind == "word":
            return self.word(token)
        if kind == "text":
            return Node("text", (), text)
        if kind == "op":
            if text in CLOSERS:
                return self.bracket(text)
            if text == "|" and self.bars < MAX_DEPTH:
                self.bars += 1
                node = self.sum()  # ||x|| and \|x\| are read as |x|
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
            word = base.value.lower() if base.op in ("text", "sym") else ""
            if spoken := BASES.get(word) or NUMBERS.get(word):
                base = Node("num", (), Fraction(spoken))
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
                return Node("num", (), fraction(text) + period)
            raise Unparsed("overline")
        value = fraction(text)
        mantissa = text.lower().partition("e")[0]
        if "." in text or mantissa != text:
            digits = mantissa.replace(".", "").lstrip("0")
            return Node("dec", (), (value, len(digits), last_place(text)))
        return Node("num", (), value)

    def word(self, token: Token) -> Node:
        text = token.text
        if text in FUNCTIONS:
            return Node("text", (), text) if self.is_op("=") else self.function(FUNCTIONS[text])
        if text.lower() in FUNCTIONS and len(text) > 2 and self.is_op("("):
            return self.function(FUNCTIONS[text.lower()])
        if text.lower() in ("pi", "infinity", "infty", "inf", "oo"):
            return Node("const", (), "pi" if text.lower() == "pi" else "inf")
        if text == "frac" and self.is_op("{"):
            return self.command(text)
        if text == "boxed" and self.is_op("{"):
            return self.atom()
        if len(text) >= 4:
            return Node("sym", (), "\\" + text if text in GREEK else text)
        self.at -= 1
        self.tokens[self.at : self.at + 1] = [
            Token("let", c, token.spaced if i == 0 else False) for i, c in enumerate(text)
        ]
        return self.atom()

    def bracket(self, opening: str) -> Node:
        self.enter()
        bars, self.bars = self.bars, 0
        french, self.in_french = self.in_french, 0
        if opening in ("{", "\\{"):
            self.skip_set_builder()
        groups = self.groups(frozenset(CLOSERS[opening]))
        if opening == "\\{" and self.peek().kind == "end" and "end" in (t.text for t in self.tokens):
            closing = "\\}"  # \left\{ \begin{array} ... \right.
            self.depth -= 1
            return bag_of([item for group in groups for item in group])
        closing = self.expect(*CLOSERS[opening])
        self.bars, self.in_french = bars, french
        self.depth -= 1
        return bracketed(opening, groups, closing)

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
        self.in_french += 1
        groups = self.groups(frozenset({"[", "]"}))
        self.in_french -= 1
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
            if self.is_op("^") and self.peek(1).text == "+":
                self.at += 2
                return POSITIVE
            return REALS
        if name in DOMAINS.values():
            return Node("sym", (), "\\" + name)
        if name == "frac":
            above, below = self.argument(), self.argument()
            if above == _D and below.op == "mul" and below.args[0] == _D:
                raise Unparsed("derivative")  # d/dx is no quotient
            return Node("div", (above, below))
        if name == "binom":
            return Node("fn", (self.argument(), self.argument()), "binom")
        if name == "sqrt":
            return self.root()
        if name == "boxed":
            return self.argument()
        if name == "ldots":
            return Node("sym", (), "...")
        if name in FUNCTIONS:
            return Node("text", (), name) if self.is_op("=") else self.function(FUNCTIONS[name])
        if name in BRACKETS:
            closer, function = BRACKETS[name]
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
        if name in ("top", "intercal"):
            return Node("sym", (), "T")
        if name == "cis":
            return self.function(name)
        if name in ACCENTS:
            argument = flat(self.argument())
            if name == "overline" and len(argument) > 1 and argument.isalpha() and argument.isupper():
                return letters(argument)  # the segment AB
            return Node("sym", (), f"{name}({argument})")
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
        node = Node("num", (), fraction(self.next().text)) if number else self.atom()
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
            if self.peek().kind == "num":
                argument = self.number(self.next())
            else:
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
        if name == "binom" and len(arguments) == 1 and self.is_op("{"):
            arguments = (*arguments, self.factor())
        self.depth -= 1
        if name not in _ANY_NUMBER and len(arguments) != (2 if name == "binom" else 1):
            raise Unparsed(f"arguments of {name}")
        if name == "cis":
            sine = Node("mul", (Node("fn", arguments, "sin"), Node("const", (), "i")))
            node = Node("add", (Node("fn", arguments, "cos"), sine))
        elif name == "log" and base is not None:
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
        node = self.signed_factor() if self.peek().text in SUMS else self.factor()
        while (token := self.peek()).kind in ("num", "let") or (
            token.kind == "cmd" and (token.text in GREEK or token.text in ("pi", "frac", "sqrt"))
        ):
            node = Node("mul", (node, self.factor()))
        if node.op != "fn" and self.is_op("/") and self.peek(1).kind == "num" and numeric(node):
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

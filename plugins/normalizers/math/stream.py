"""A place in a list of tokens, with the limits on depth."""

from __future__ import annotations

from .nodes import MAX_DEPTH, Unparsed
from .tokens import END, Token


class Stream:
    """Reads tokens one after the other."""

    def __init__(self, tokens: list[Token], nested_bars: bool = False) -> None:
        self.tokens = tokens
        self.nested_bars = nested_bars  # a bar inside bars may open others
        self.in_french = 0  # open ]intervals[
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

"""The part of the parser that reads \\begin{...} ... \\end{...}: matrices, and systems line by line."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .build import bag_of
from .nodes import Node, Unparsed
from .stream import Stream
from .words import word_set

_LINES = word_set("cases dcases aligned align gathered gather split equation")
ENVIRONMENTS = word_set("matrix pmatrix bmatrix Bmatrix vmatrix smallmatrix array")


class Environments(Stream, ABC):
    """Reads one environment. What stands in its cells is read by the upper half."""

    @abstractmethod
    def relation(self) -> Node: ...

    def environment(self) -> Node:
        name = self.group_word()
        if name in _LINES:
            return self.lines(name)
        if name not in ENVIRONMENTS:
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
        if len(rows[0]) == 1 and all(row[0].op == "rel" for row in rows):
            return bag_of([row[0] for row in rows])
        matrix = Node("matrix", tuple(cell for row in rows for cell in row), len(rows[0]))
        return Node("fn", (matrix,), "det") if name == "vmatrix" else matrix

    def lines(self, name: str) -> Node:
        """The lines of a system, as a list; cases with conditions are no list."""
        self.enter()
        if "cases" not in name:
            # marks of alignment
            end = next((i for i, t in enumerate(self.tokens) if i > self.at and t.text == "end"), self.at)
            kept = [token for token in self.tokens[self.at : end] if token.text != "&"]
            self.tokens[self.at : end] = kept
        items: list[Node] = []
        while True:
            token = self.peek()
            if token.kind == "cmd" and token.text == "end":
                self.at += 1
                if self.group_word() != name:
                    raise Unparsed("environments cross")
                break
            if token.kind == "op" and token.text in ("\\\\", ","):
                self.at += 1
            else:
                items.append(self.relation())
                if self.peek().text not in ("\\\\", ",", "end"):
                    raise Unparsed("unexpected end of a line")
        self.depth -= 1
        if not items:
            raise Unparsed("empty")
        return bag_of(items)

    def group_word(self) -> str:
        self.expect("{")
        token = self.next()
        self.take_op("*")
        self.expect("}")
        return token.text

"""From items to rows: chains are chosen, filters applied, rows put in order and cut to size."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import HarnessError, Message
from harness.progress import Progress

from .columns import as_number
from .completions import chosen, from_solution, rated
from .filters import Filters, read_filters
from .finding import key_of
from .judging import Judge
from .records import Candidate, Item, LeftOut, Needs, Tally, Wanted
from .sampled import Sampling, sample
from .sources import Problems, Source
from .spool import Entry, Spool
from .tokens import TokenCounter

if TYPE_CHECKING:
    from harness.plugins import PluginManager

    from ..recipes.schema import Data


class Curation:
    """The work on one stage's data. Arguments as those of `prepare`.

    Args:
        excluded: problems that are left out, by `sources.key_of`.
    """

    def __init__(
        self,
        data: Data,
        needs: Needs,
        *,
        model: Path | None,
        plugins: PluginManager,
        protocol: str,
        data_folder: Path | None,
        excluded: frozenset[str],
        progress: Progress,
    ) -> None:
        self.data = data
        self.filters: Filters = read_filters(data.filters)
        self.notes: list[str] = []
        """What is to be told of the rows."""
        self._needs = needs
        self._model, self._plugins, self._protocol = model, plugins, protocol
        self._data_folder, self._excluded, self._progress = data_folder, excluded, progress
        self._seed = data.sample.seed if data.sample is not None else 0
        self._counter = TokenCounter.of(model)
        self._counts_all = bool(self.filters.count_tokens) or data.sort == "tokens"
        self._check()

    def _check(self) -> None:
        names = [*self.filters.count_tokens, *(["sort: tokens"] if self.data.sort == "tokens" else [])]
        if names and self._needs == "golds":
            raise HarnessError(
                f"data: {', '.join(names)}: rows with golds have no chain whose tokens could be counted"
            )
        if names and self._counter is None:
            raise HarnessError(
                f"data: {', '.join(names)}: tokens cannot be counted, there is no model with a tokenizer.json "
                "(or the package tokenizers is not installed)"
            )

    def run(self, sources: Sequence[Source], spool: Spool, runs: Path) -> list[Entry]:
        """The rows that remain, in their order; they stand in the spool.

        Raises:
            HarnessError: as `prepare`.
        """
        samplings: Sequence[Sampling | None] = [None] * len(sources)
        if self.data.sample is not None:
            samplings = sample(
                sources,
                self.data.sample,
                self._wanted(sources[0], sampled=True),
                model=self._model,
                results=runs,
                plugins=self._plugins,
                protocol=self._protocol,
                data_folder=self._data_folder,
                progress=self._progress,
            )
        kept: list[Entry] = []
        tallies = []
        for source, sampling in zip(sources, samplings, strict=True):
            if self._enough(kept):
                break
            tally = Tally(source.text)
            tallies.append(tally)
            kept += self._filtered(
                source, sampling, tally, self._read(source, sampling, tally, spool, len(kept))
            )
        for tally in tallies:
            self.notes += tally.lines()
        if self.filters.described:
            self.notes.append(f"taken at their word: {', '.join(self.filters.described)}")
        if not kept:
            raise HarnessError(
                f"data: no row is left: {'; '.join(self.notes) or 'the sources are empty'}"[:1500]
            )
        return self._in_order(self._cut(kept))

    # -- items -----------------------------------------------------------------------------------

    def _wanted(self, source: Source, *, sampled: bool) -> Wanted:
        chains = self._needs == "chains"
        benchmark = isinstance(source, Problems)
        solution = chains and (self._solves or (benchmark and not sampled and self.filters.chain is None))
        if chains and benchmark and not sampled and not solution:
            raise HarnessError(
                f"data.filters.chain: {source.text} has no chains to choose the {self.filters.chain} of: let a model "
                "answer it (`sample`), or take `chain: solution`"
            )
        return Wanted(
            chain=chains and not sampled and not solution,
            gold=not chains or sampled or solution,
            solution=solution,
        )

    @property
    def _solves(self) -> bool:
        return self.filters.chain == "solution" or bool(self.filters.checks)

    def _read(
        self, source: Source, sampling: Sampling | None, tally: Tally, spool: Spool, before: int
    ) -> list[Entry]:
        wanted = self._wanted(source, sampled=sampling is not None)
        items = source.items(wanted, tally) if sampling is None else sampling.items(source, wanted, tally)
        entries: list[Entry] = []
        graded = 0
        with Judge(self._plugins) as judge:
            for item in items:
                if self._excluded and key_of(item.problem) in self._excluded:
                    tally.left_out[f"in {', '.join(self.filters.not_in)}"] += 1
                    continue
                judged = item if sampling is not None else judge.judged(self._uncounted(item))
                rows = self._rows(judged, wanted, tally, source.text)
                graded += any(chain.correct is not None for chain in judged.chains)
                mean = _mean_tokens(judged.chains) if sampling is not None else None
                for row in rows:
                    entries.append(spool.add(row, self._order(item, row), mean))
                if self._enough_without_filters(before + len(entries)):
                    break
        self._tell(source, sampling, tally, graded)
        return entries

    def _rows(self, item: Item, wanted: Wanted, tally: Tally, source: str) -> Iterator[dict[str, Any]]:
        """The rows of an item, none where it cannot be used."""
        rated_item = rated(item, self.filters, self._counter)
        pass_rate, difficulty = rated_item.pass_rate, rated_item.difficulty
        if difficulty is None and pass_rate is not None:
            difficulty = round(1 - pass_rate, 12)
        prompt = [{"role": message.role, "content": message.content} for message in item.prompt]
        row: dict[str, Any] = {"id": item.id, "prompt": prompt}
        known = {"difficulty": difficulty, "pass_rate": pass_rate}
        if self._needs == "golds":
            self._plugins.normalizer(item.normalizer)
            gold = {"gold": item.gold, "normalizer": item.normalizer}
            yield {**row, **gold, **known, "tokens": None, "source": source}
            return
        try:
            chains = (
                [from_solution(item, self.filters, self._seed)]
                if wanted.solution
                else chosen(item, self.filters.chain)
            )
        except LeftOut as reason:
            tally.leave_out(reason)
            return
        for number, chain in enumerate(chains):
            tokens = chain.tokens
            if self._counts_all and tokens is None and self._counter is not None:
                tokens = self._counter.text(chain.text)
            if self._is_too_long(item, tokens):
                tally.leave_out(LeftOut(f"of more than {self.filters.max_tokens:,} tokens"))
                continue
            id_ = item.id if len(chains) == 1 else f"{item.id}/{number}"
            yield {
                **row,
                "id": id_,
                "completion": chain.text,
                **known,
                "tokens": tokens,
                "source": source,
            }

    def _uncounted(self, item: Item) -> Item:
        """Without the tokens that a row tells of where they can be counted: they are another tokenizer's."""
        if self._counter is None:
            return item
        chains = tuple(dataclasses.replace(chain, tokens=None) for chain in item.chains)
        return dataclasses.replace(item, chains=chains)

    def _is_too_long(self, item: Item, tokens: int | None) -> bool:
        if self.filters.max_tokens is None or tokens is None or self._counter is None:
            return False
        return self._counter.messages(item.prompt) + tokens > self.filters.max_tokens

    def _order(self, item: Item, row: Mapping[str, Any]) -> float | None:
        name = self.data.sort
        if name is None:
            return None
        return as_number(
            row[name] if name in ("difficulty", "pass_rate", "tokens") else item.values.get(name)
        )

    def _tell(self, source: Source, sampling: Sampling | None, tally: Tally, graded: int) -> None:
        """Note what of the filters was not looked at."""
        names = []
        if (
            sampling is None
            and self._needs == "chains"
            and not self._solves
            and not isinstance(source, Problems)
        ):
            names += ["chain"] if self.filters.chain is not None and not graded else []
        if self.filters.pass_rate_at_tokens is not None and sampling is None and not graded:
            names.append("pass_rate_at_tokens")
        if names:
            tally.notes.append(f"{source.text}: {', '.join(names)}: taken as filtered already")

    # -- rows ------------------------------------------------------------------------------------

    def _enough(self, kept: Sequence[Entry]) -> bool:
        return self.data.size is not None and len(kept) >= self.data.size

    def _enough_without_filters(self, count: int) -> bool:
        return not self.filters.bounds and self.data.size is not None and count >= self.data.size

    def _filtered(
        self, source: Source, sampling: Sampling | None, tally: Tally, entries: list[Entry]
    ) -> list[Entry]:
        """Those that pass all bounds. A column that no row of a data set has was looked at by whoever made it."""
        lacking = []
        for bound in self.filters.bounds:
            if not entries:
                break
            values = [getattr(entry, bound.column) for entry in entries]
            if all(value is None for value in values):
                if sampling is None and isinstance(source, Problems):
                    raise HarnessError(
                        f"data.filters.{bound.name}: the problems of {source.text} have no {bound.column}: let a model "
                        "answer them (`sample`), or leave the filter out"
                    )
                lacking.append(bound.name)
                continue
            passing = []
            for entry, value in zip(entries, values, strict=True):
                if value is None:
                    tally.left_out[f"without a {bound.column}"] += 1
                elif not bound.passes(value):
                    tally.left_out[f"by {bound}"] += 1
                else:
                    passing.append(entry)
            entries = passing
        if lacking:
            tally.notes.append(f"{source.text}: {', '.join(lacking)}: no row says, taken as filtered already")
        return entries

    def _cut(self, entries: list[Entry]) -> list[Entry]:
        size = self.data.size
        if size is not None and len(entries) < size:
            self.notes.append(f"{len(entries):,} rows are left, {size:,} were asked for")
        return entries[:size]

    def _in_order(self, entries: list[Entry]) -> list[Entry]:
        if self.data.sort is None:
            return entries
        missing = sum(entry.order is None for entry in entries)
        if missing:
            raise HarnessError(
                f"data.sort: {missing:,} of {len(entries):,} rows have no {self.data.sort} to be sorted by"
                + (" (nor a pass_rate that it could be taken from)" if self.data.sort == "difficulty" else "")
            )
        return sorted(entries, key=lambda entry: entry.order or 0.0)

    def counted(self, row: dict[str, Any], entry: Entry) -> tuple[dict[str, Any], int | None, float | None]:
        """The row as it is written, and the tokens of its prompt and of what is generated after it."""
        if self._needs == "golds":
            prompt = None if self._counter is None else self._counter.messages(_messages(row))
            return row, prompt, entry.sampled_tokens
        if self._counter is None:
            return row, None, row["tokens"]
        if row["tokens"] is None:
            row["tokens"] = self._counter.text(row["completion"])
        return row, self._counter.messages(_messages(row)), row["tokens"]


def _messages(row: Mapping[str, Any]) -> list[Message]:
    return [Message(**message) for message in row["prompt"]]


def _mean_tokens(chains: Sequence[Candidate]) -> float | None:
    known = [chain.tokens for chain in chains if chain.tokens is not None]
    return sum(known) / len(known) if known and len(known) == len(chains) else None

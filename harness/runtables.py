"""Tables of a run folder as those read them who look at finished runs: some columns, of the types that they must have.

Run folders get shared, so that a table may be damaged or of another making: it is told in one line how to mend it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .errors import HarnessError
from .rows import read_table

if TYPE_CHECKING:
    import pyarrow as pa

LOST: Final = "move it away and run the same command to sample its chains again"
"""What mends chains.parquet."""
REGRADE: Final = "`harness regrade` makes it again"
"""What mends grades.parquet."""

_KEYS: Final = ("id", "problem_id", "index")


def read_columns(path: Path, remedy: str, types: Mapping[str, str], later: Collection[str] = ()) -> pa.Table:
    """Some columns of a table.

    Args:
        remedy: what the user can do where it is damaged.
        types: column -> Arrow's name of its type.
        later: columns that folders of older formats lack; they are left out where they are missing.

    Raises:
        HarnessError: the file is missing or damaged, or its columns are not these.
    """
    import pyarrow as pa

    table = read_table(path, remedy, list(types))
    there = [name for name in types if name in table.column_names or name not in later]
    try:
        table = table.select(there).cast(
            pa.schema([(name, pa.type_for_alias(types[name])) for name in there])
        )
    except (pa.ArrowException, KeyError) as error:
        raise damaged(path, error, remedy) from None
    if any(table[name].null_count for name in there if name in _KEYS):
        raise HarnessError(
            f"{path} is damaged (a row does not say which chain or problem it is of): {remedy}"
        )
    return table


def damaged(path: Path, error: Exception, remedy: str) -> HarnessError:
    return HarnessError(f"{path} is damaged ({' '.join(str(error).split())[:120]}): {remedy}")


def chain_keys(table: pa.Table) -> Any:
    """Sample index and problem id of each row as one text, by which rows of two tables are matched."""
    import pyarrow.compute as pc

    names = pc.binary_join_element_wise(table["index"].cast("string"), table["problem_id"], " ")
    return names.combine_chunks()

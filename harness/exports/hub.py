"""Puts an export on the Hugging Face Hub as a data set: one file a run, one configuration a benchmark, and a card."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from .. import hub
from ..errors import HarnessError, one_line
from ..files import safe_name
from ..plugins import PluginManager
from ..report import Report
from . import Export

_REPO: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_LOGIN: Final = "run `hf auth login` with a token that may write, or set HF_TOKEN"


def push(
    export: Export,
    plugins: PluginManager,
    repo: str,
    *,
    public: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> str:
    """Write an export to a data set on the Hub, in one commit; the data set is made where it does not exist.

    Args:
        repo: USER/NAME.
        public: everybody may read the data set; else only its owner.
        note: is told what the user should know.

    Returns:
        The address of the data set.

    Raises:
        HarnessError: no token, the Hub cannot be reached or refuses, the data set is public already and `public`
            is not set, or texts that must not be posted would be.
    """
    if not _REPO.fullmatch(repo):
        raise HarnessError(f"-o {repo!r:.100}: a data set on the Hub is called USER/NAME")
    if public:
        _refuse_to_post(export)
    from huggingface_hub import HfApi, get_token

    if (token := get_token()) is None:
        raise HarnessError(f"there is no token to write to the Hub with: {_LOGIN}")
    if (reason := hub.reachable()) is not None:
        raise HarnessError(f"the Hub cannot be reached ({reason}): nothing was written")
    api = HfApi(endpoint=hub.endpoint(), token=token)
    with _Refusals(repo):
        api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        private = bool(api.dataset_info(repo).private)
    if not private:
        if not public:
            raise HarnessError(f"data set {repo} exists and is public: say --public, or name another one")
        _refuse_to_post(export)
    elif public:
        note(f"data set {repo} exists and stays private: its settings on the Hub can change that")
    with tempfile.TemporaryDirectory(prefix="harness-export-") as folder:
        _upload(api, repo, export, plugins, Path(folder))
    return f"{hub.endpoint()}/datasets/{repo}"


def _refuse_to_post(export: Export) -> None:
    if export.revealed:
        raise HarnessError(
            f"the texts of {', '.join(export.revealed)} are never pushed to a public data set, its authors ask that "
            "they not be posted: leave out --include-hidden-text"
        )


def _upload(api: Any, repo: str, export: Export, plugins: PluginManager, folder: Path) -> None:
    from huggingface_hub import CommitOperationAdd

    hub.quiet_unless_terminal()
    files: dict[str, list[str]] = {}
    additions = []
    for run in export.runs:
        result = run.run.result
        benchmark = safe_name(run.run.benchmark)
        name = f"data/{benchmark}/{safe_name(run.run.model)}-{safe_name(str(result['fingerprint']))}.parquet"
        local = folder / name
        local.parent.mkdir(parents=True, exist_ok=True)
        export.write_parquet(local, [run])
        files.setdefault(benchmark, []).append(name)
        additions.append(CommitOperationAdd(name, local))
    text = card(export, plugins, repo, files)
    additions.append(CommitOperationAdd("README.md", text.encode("utf-8", "replace")))
    with _Refusals(repo):
        api.create_commit(
            repo,
            additions,
            commit_message=f"{export.rows:,} chains of {len(export.runs)} runs",
            repo_type="dataset",
        )


def card(export: Export, plugins: PluginManager, repo: str, files: dict[str, list[str]]) -> str:
    """The data set's README.md: what the Hub needs to know, the scores as a table, what the rows are.

    Args:
        files: configuration -> its files.
    """
    configs = [
        {
            "config_name": name,
            "data_files": [{"split": "test", "path": paths}],
            **({"default": True} if not i else {}),
        }
        for i, (name, paths) in enumerate(files.items())
    ]
    head = yaml.safe_dump(
        {
            "pretty_name": repo.split("/")[1],
            "tags": ["evaluation", "reasoning", "fathom-harness"],
            "configs": configs,
        },
        sort_keys=False,
        allow_unicode=True,
    )
    table = plugins.reporter("markdown").render(Report(export.results))
    parts = [
        f"---\n{head}---",
        f"# {repo.split('/')[1]}",
        "Sampled chains of reasoning models and their grades: one row a chain, one configuration a benchmark. "
        "Written by fathom-harness.",
        table.strip(),
        "`text` is all that the model wrote (`reasoning`: what a server hands over apart from it), `answer` what it "
        "concludes with, `status` the grade, `score` 1 where it is correct and else 0, `rule` what decided, "
        "`answer_class` the class in which the answer votes, `foreign_score` the verdict of another grader where "
        "there was one.",
    ]
    if export.withheld:
        parts.append(
            f"Texts of {', '.join(export.withheld)} are left out: its authors ask that the problems not be posted."
        )
    return "\n\n".join(parts) + "\n"


class _Refusals:
    """Turns what the Hub or the way to it raises into one clear line."""

    def __init__(self, repo: str) -> None:
        self.repo = repo

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from huggingface_hub.errors import HfHubHTTPError

        if isinstance(error, HfHubHTTPError):
            self._refused(error, error.response.status_code)
        if error is not None and isinstance(error, hub.transport_errors()):
            raise HarnessError(f"data set {self.repo} could not be written: {one_line(error)}") from None

    def _refused(self, error: BaseException, status: int) -> NoReturn:
        if status in (401, 403):
            raise HarnessError(
                f"the Hub does not let this token write to data set {self.repo}: {_LOGIN}"
            ) from None
        raise HarnessError(f"data set {self.repo} could not be written, {one_line(error)}") from None

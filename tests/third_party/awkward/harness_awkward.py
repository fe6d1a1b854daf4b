"""A plugin that loads, and whose normalizer and listener do everything that a plugin should not."""

import os
import sys

import click

from harness import Benchmark, Extraction, Normalizer, Problem, hookimpl


class AwkwardBenchmark(Benchmark):
    name = "awkward"
    normalizer = "awkward"

    def problems(self, data):
        print("a plugin that prints to standard output must not disturb the result")
        for what in ("answer", "hang", "memory", "die", "raise", "silent"):
            yield Problem(id=what, text=f"Please {what}", gold="answer")


class AwkwardNormalizer(Normalizer):
    name = "awkward"

    def extract(self, text):
        if text == "hang":
            return 10 ** (10**10)  # one big-integer operation, which no signal interrupts
        if text == "memory":
            return bytearray(10**12)
        if text == "die":
            os._exit(3)
        if text == "raise":
            raise ZeroDivisionError("as asked")
        print("a plugin that prints to standard output must not disturb the pipe")
        return None if text == "silent" else Extraction(text, "whole text")


@click.command("wave")
def wave():
    """Wave at the user."""
    click.echo("o/")


@hookimpl
def harness_benchmarks():
    return [AwkwardBenchmark(), "not a benchmark"]


@hookimpl
def harness_normalizers():
    return [AwkwardNormalizer()]


@hookimpl
def harness_commands():
    return [wave, "not a command"]


@hookimpl
def harness_run_started(run):
    sys.exit(f"no wish to start {run.benchmark}")


@hookimpl
def harness_run_finished(result):
    raise RuntimeError(f"no wish to hear of {result['benchmark']}")

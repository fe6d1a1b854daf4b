"""`harness serve-check URL`: what an OpenAI-compatible server supports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from harness import HarnessError, hookimpl

if TYPE_CHECKING:
    from .samplers.openai._probes import Finding

_WIDTH = 100


@click.command("serve-check")
@click.argument("url")
@click.option("--model", "-m", default="", help="Which model to ask; not needed where only one is served.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, 3600, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds for each request.",
)
@click.option(
    "--api-key-env", default="OPENAI_API_KEY", show_default=True, help="Variable that holds the key."
)
@click.option("--extra", help="Further fields of each request, as a JSON object.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(url: str, model: str, timeout: float, api_key_env: str, extra: str | None, as_json: bool) -> int:
    """Ask an OpenAI-compatible server what it supports: endpoints, streaming, usage, temperature, seeds, n, stop texts,
    reasoning, log probabilities, context.

    Sends about 20 short requests. Exit code 0: `harness run --sampler openai` can use it; 1: it cannot.
    """
    from .samplers.openai import make_server, read_key
    from .samplers.openai._engine import Loop
    from .samplers.openai._probes import check_settings, probe

    findings: list[Finding] = []

    def report(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            click.echo(_row(finding))

    options = {"base_url": url, "api_key_env": api_key_env} | ({"extra": extra} if extra else {})
    if api_key_env == "OPENAI_API_KEY":
        del options["api_key_env"]
    name, key = read_key(options)
    loop = Loop()
    try:
        server = loop.run(make_server(model, check_settings(), options, name, key))
        loop.at_close(server.client.close)
        usable = loop.run(probe(server, report, timeout))
    finally:
        loop.close()
    if as_json:
        _print_json(server.url, server.asking.model, findings, usable)
    if not usable:
        why = next(
            finding.detail for finding in findings if finding.support == "no" and finding.name == "chat"
        )
        raise HarnessError(f"{server.url} cannot be sampled from: {why}")
    if not as_json:
        click.echo(
            f"\nharness run --sampler openai --base-url {server.url} --model {server.asking.model} --bench ..."
        )
    return 0


@hookimpl
def harness_commands() -> Sequence[click.Command]:
    return [command]


def _row(finding: Finding) -> str:
    from harness.text import one_row

    return f"{finding.name:<12} {finding.support:<4} {one_row(finding.detail)[:_WIDTH]}".rstrip()


def _print_json(url: str, model: str, findings: Sequence[Finding], usable: bool) -> None:
    import json

    found = {f.name: {"support": f.support, "detail": f.detail} for f in findings}
    click.echo(json.dumps({"url": url, "model": model, "usable": usable, "findings": found}, indent=2))

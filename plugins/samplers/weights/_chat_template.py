"""Chat templates: from messages to the text that a model was trained to go on from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from harness import HarnessError, Message


def render(template: str, messages: Iterable[Message], specials: Mapping[str, str]) -> str:
    """The prompt for a model's turn, as transformers renders it.

    The template comes with the model and is not trusted: it runs in jinja's sandbox and sees plain texts only.

    Args:
        specials: special tokens by name ("bos_token"), which templates may write.

    Raises:
        HarnessError: the template is not valid, or refuses these messages.
    """
    import jinja2

    chat = [{"role": message.role, "content": message.content} for message in messages]
    try:
        return str(_compiled(template).render(messages=chat, add_generation_prompt=True, **specials))
    except (
        jinja2.TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        RecursionError,
    ) as error:
        raise HarnessError(f"the model's chat template fails: {' '.join(str(error).split())[:200]}") from None


@lru_cache(maxsize=4)
def _compiled(template: str) -> Any:
    import jinja2
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %} marks the answer in training data; here it is nothing but its content."""

        tags = {"generation"}  # noqa: RUF012 - as jinja declares it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    def as_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(template)

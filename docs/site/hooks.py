"""Makes the page of all commands out of the commands themselves, whenever the site is built."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from typing import Any

import typer.main

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from docs.site.commands import COMMANDS, app_of

PAGE = "cli.md"
MARKUP = re.compile(r"\[/?(bold|dim|italic|green|red|yellow|cyan|blue)\]")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page; mkdocs calls it."""
    files.append(File.generated(config, PAGE, content=reference()))
    return files


def reference() -> str:
    """Markdown: each command with its usage, arguments and options."""
    parts = [
        "# Commands\n",
        "Made from the commands' own `--help`. `python -m MODULE --help` shows types and ranges, too.\n",
    ]
    for module in COMMANDS:
        command = typer.main.get_command(app_of(module))
        parts.append(f"## {module}\n")
        parts.extend(_described(f"python -m {module}", command))
    return "\n".join(parts)


def _described(start: str, command: Any) -> list[str]:
    """Of a command, or of a group's commands one by one."""
    text = [_plain(command.help or ""), ""]
    commands = getattr(command, "commands", {})
    for name, each in commands.items():
        text += [f"### {start.removeprefix('python -m ')} {name}\n", *_described(f"{start} {name}", each)]
    return text if commands else [*text, *_usage(start, command)]


def _usage(start: str, command: Any) -> list[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    words = " ".join(_argument(each) for each in arguments)
    rows = [_row(f"`{_argument(each)}`", each) for each in arguments]
    rows += [_row(", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts)), each) for each in options]
    table = ["| word | what it is |", "|---|---|", *rows, ""] if rows else []
    return ["```text", f"{start} {words} [OPTIONS]".replace("  ", " "), "```", "", *table]


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).upper()
    return name if parameter.required else f"[{name.strip('[]')}]"


def _row(name: str, parameter: Any) -> str:
    default = parameter.default
    shown = "" if default in (None, False, ()) or callable(default) or "default:" in (parameter.help or "") else default
    shown = getattr(shown, "value", shown)
    told = _plain(parameter.help or "").replace("\n", " ").replace("|", "\\|")
    return f"| {name} | {told}" + (f" (default: {shown})" if shown != "" else "") + " |"


def _plain(text: str) -> str:
    """Without the marks of a terminal; what looks like HTML is text."""
    return html.escape(MARKUP.sub("", text).strip(), quote=False)

"""The command `completion`: print the script that teaches a shell this program's words."""

from __future__ import annotations

import click

from occy_fast import schema
from occy_fast.cli.options import ExampleCommand, Word, output_options
from occy_fast.cli.output import OutputMode, print_json, print_script


@click.command(
    "completion",
    cls=ExampleCommand,
    examples=[
        (
            "bash: for this user, from the next shell on",
            "occy-fast completion bash > ~/.local/share/bash-completion/completions/occy-fast",
        ),
        ("bash: for this shell only", 'eval "$(occy-fast completion bash)"'),
        ("zsh: a directory of $fpath", 'occy-fast completion zsh > "${fpath[1]}/_occy-fast"'),
        ("fish", "occy-fast completion fish > ~/.config/fish/completions/occy-fast.fish"),
    ],
)
@click.argument("shell", type=Word(["bash", "zsh", "fish"]))
@output_options
@click.pass_context
def completion(ctx: click.Context, *, shell: str, mode: OutputMode) -> int:
    """Print the completion script for SHELL: bash (4.4 or later), zsh or fish."""
    from occy_fast.cli.completion import completion_script

    script = completion_script(ctx.find_root().command, shell)
    if mode.json:
        print_json({"schema": schema.COMPLETION, "shell": shell, "script": script})
    else:
        print_script(script)
    return 0

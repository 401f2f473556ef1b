"""Shell completion: the script a shell loads, and the answers to its questions."""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

VARIABLE = "_OCCY_FAST_COMPLETE"
PROGRAM = "occy-fast"


class ColonBash(BashComplete):
    """Bash, which cuts words at ":" and "=": they are joined to be understood, and cut again in the answer."""

    # A transport is not the end of a word: no space behind its colon.
    source_template = BashComplete.source_template.replace(
        "    return 0\n", "    [[ ${COMPREPLY[0]-} == *: ]] && compopt -o nospace\n    return 0\n"
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor and the one under it, as they were typed."""
        pieces = split_arg_string(os.environ["COMP_WORDS"])[1 : int(os.environ["COMP_CWORD"]) + 1]
        if len(pieces) < int(os.environ["COMP_CWORD"]):
            pieces.append("")
        words: list[str] = []
        for piece in pieces:
            if words and piece and (piece in ":=" or words[-1][-1:] in (":", "=")):
                words[-1] += piece
            else:
                words.append(piece)
        return (words[:-1], words[-1]) if words else ([], "")

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return answers for the piece of the word that Bash replaces; behind a transport it lists files itself."""
        whole = split_arg_string(os.environ["COMP_WORDS"])
        at = int(os.environ["COMP_CWORD"])
        piece = whole[at] if at < len(whole) else ""
        cut = incomplete if piece in (":", "=") else incomplete[: len(incomplete) - len(piece)]
        items = super().get_completions(args, incomplete)
        if not cut:
            return items
        if cut.endswith(":"):
            return [CompletionItem("", type="file")] if items else []
        for item in items:
            item.value = item.value.removeprefix(cut)
        return items


SHELLS: dict[str, type[ShellComplete]] = {"bash": ColonBash, "zsh": ZshComplete, "fish": FishComplete}


def completion_script(program: click.Command, shell: str) -> str:
    """Return the script that *shell* is to load."""
    return SHELLS[shell](program, {}, PROGRAM, VARIABLE).source()


def answer_shell(program: click.Command, instruction: str) -> int:
    """Print the script or the completions that *instruction* ("bash_source", "zsh_complete") asks for."""
    shell, _, what = instruction.partition("_")
    if shell not in SHELLS or what not in ("source", "complete"):
        return 1
    completer = SHELLS[shell](program, {}, PROGRAM, VARIABLE)
    click.echo(completer.source() if what == "source" else completer.complete())
    return 0

"""The shells that `tt` completes its command lines in: the script of each, and how `tt` answers it. Pure.

A script hands over what was typed, and gets a line with what to do and a line for each candidate. What a town holds is foreign
text: zsh and fish quote what they insert; for bash it is quoted here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from cli.columns import columns

if TYPE_CHECKING:
    from cli.completion import Offer

SHELLS: Final = ("bash", "zsh", "fish")

_BASH: Final = r"""# Completion of tt in bash: `tt --install-completion bash`.
_tt_complete() {
    local line action=words
    local -a found=()
    while IFS= read -r line; do found+=("$line"); done < <(
        command tt --complete bash "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" "${COMP_TYPE:-9}" "${COLUMNS:-80}" \
            2>/dev/null </dev/null
    )
    COMPREPLY=()
    if (( ${#found[@]} )); then
        action=${found[0]}
        COMPREPLY=("${found[@]:1}")
    fi
    case $action in
        files) compopt -o default 2>/dev/null ;;
        folders) compopt -o dirnames 2>/dev/null ;;
        open) compopt -o nospace 2>/dev/null ;;
    esac
}
complete -o nosort -F _tt_complete tt 2>/dev/null || complete -F _tt_complete tt
"""

_ZSH: Final = r"""#compdef tt
# Completion of tt in zsh: `tt --install-completion zsh`.
_tt_complete() {
    local -a found values shown
    local line action
    found=("${(@f)$(command tt --complete zsh "${(@Q)words[1,CURRENT]}" 2>/dev/null </dev/null)}")
    action=$found[1]
    shift found
    case $action in
        files) _files; return ;;
        folders) _files -/; return ;;
    esac
    for line in "${found[@]}"; do
        values+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  }")
    done
    (( $#values )) || return 1
    if [[ $action == open ]]; then
        compadd -l -V tt -S '' -d shown -- "${values[@]}"
    else
        compadd -l -V tt -d shown -- "${values[@]}"
    fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }
compdef _tt_complete tt
"""

_FISH: Final = r"""# Completion of tt in fish: `tt --install-completion fish`.
function __tt_complete
    set -l current (commandline -ct)
    test -n "$current"; or set current ''
    set -l words (commandline -opc) $current
    set -l found (command tt --complete fish $words 2>/dev/null </dev/null)
    set -l action $found[1]
    set -e found[1]
    switch "$action"
        case files
            __fish_complete_path $current
        case folders
            __fish_complete_directories $current
        case '*'
            string join \n -- $found
    end
end
complete -c tt -e
complete -c tt -f -a '(__tt_complete)'
"""
_OPTIONS: Final = frozenset({"--install-completion", "--show-completion"})
_SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}

_LISTING: Final = frozenset({"63", "33", "64"})
"""bash's COMP_TYPE where the candidates are listed and not inserted: ?, ! and @."""
_KEPT_BREAKS: Final = frozenset("@$")
"""readline's special prefixes: they begin the word that is replaced."""
_COLUMNS_MIN: Final = 20
_SAFE: Final = frozenset("_-./@:+,%=~^")
_GAP: Final = 2


def script_of(shell: str) -> str:
    """The script that a shell reads at its start."""
    return _SCRIPTS[shell]


def with_shell(words: Sequence[str], shell: str | None) -> list[str]:
    """The command line, where only the completion is asked for with the shell in use. `shell` is the path of that one's program."""
    if len(words) == 1 and words[0] in _OPTIONS:
        return [*words, (shell or SHELLS[0]).rpartition("/")[2]]
    return list(words)


def answer(arguments: Sequence[str], ask: Callable[[Sequence[str], str], Offer]) -> Iterator[str]:
    """The lines for a script, which says what was typed. `ask` tells what can come after some words, for a begun one."""
    shell, *given = arguments
    if shell == "bash":
        yield from _answer_bash(given, ask)
        return
    found = ask(given[1:-1], given[-1])
    yield _action(found)
    for each in found.candidates:
        yield f"{each.text}\t{each.note}" if each.note else each.text


def _action(found: Offer) -> str:
    is_open = bool(found.candidates) and all(each.is_open for each in found.candidates)
    return "open" if is_open else found.action


class Typed(NamedTuple):
    """A command line up to the cursor: the whole words, the one that was begun, and that as it was typed.

    `is_quoted` is set if a quote is open in it, `is_file` if it names where the output goes or the input comes from.
    """

    words: list[str]
    current: str
    raw: str
    is_quoted: bool
    is_file: bool


def typed(line: str) -> Typed:
    """The words of a line for bash, quotes and backslashes taken away. Nothing in it is expanded."""
    words: list[str] = []
    text: list[str] = []
    start, quote, is_word, is_file, is_next_file = 0, "", False, False, False
    index = 0
    while index < len(line):
        char = line[index]
        if quote:
            if char == quote:
                quote = ""
            elif char == "\\" and quote == '"' and line[index + 1 : index + 2] in ("\\", '"', "$", "`"):
                index += 1
                text.append(line[index : index + 1])
            else:
                text.append(char)
        elif char in " \t\n<>;|&":
            if is_word and not is_file:
                words.append("".join(text))
            if char in ";|&" and line[index - 1 : index] not in ("<", ">"):
                words.clear()
            is_next_file = char in "<>" or (is_next_file and not is_word)
            text, start, is_word, is_file = [], index + 1, False, is_next_file
        else:
            is_word = True
            if char in "'\"":
                quote = char
            elif char == "\\":
                index += 1
                text.append(line[index : index + 1])
            else:
                text.append(char)
        index += 1
    return Typed(words, "".join(text), line[start:], bool(quote), is_file)


def _answer_bash(given: Sequence[str], ask: Callable[[Sequence[str], str], Offer]) -> Iterator[str]:
    line, breaks, kind, width = given
    said = typed(line)
    if said.is_file:
        yield "files"
        return
    if said.is_quoted:
        return
    found = ask(said.words[1:], said.current)
    yield _action(found)
    # bash takes a word apart at some characters, and replaces what comes after the last of them, or from it on.
    cut = max((said.raw.rfind(char) for char in breaks if not char.isspace() and char not in "'\""), default=-1)
    if cut < 0 or said.raw[cut] not in _KEPT_BREAKS:
        cut += 1
    kept = typed(said.raw[:cut]).current
    words = [(quoted(each.text[len(kept) :]), each.note) for each in found.candidates if each.text.startswith(kept)]
    if kind not in _LISTING or len(words) < 2:
        yield from (word for word, _ in words)
        return
    room = max(int(width) if width.isdigit() else 0, _COLUMNS_MIN) - 1
    longest = max(columns(word) for word, _ in words)
    for word, note in words:
        yield _cut(f"{word}{' ' * (longest - columns(word) + _GAP)}({note})", room, longest) if note else word


def quoted(text: str) -> str:
    """A word as bash has to read it, with a backslash before all that it would take for something else."""
    return "".join(
        char if char.isalnum() or char in _SAFE or (not char.isascii() and not char.isspace()) else f"\\{char}"
        for char in text
    )


def _cut(line: str, room: int, longest: int) -> str:
    """The line, cut to the terminal's width, but never within the word that it begins with."""
    if columns(line) <= room:
        return line
    room = max(room, longest)
    while columns(line) >= room and len(line) > longest:
        line = line[:-1]
    return f"{line}…"

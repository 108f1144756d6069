"""How Typer's commands parse their words here: what may stand once does, and `--json` may name fields or not.

Typer keeps the last of two values and says nothing of the first, and an option of its either has a value or has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from typer import Context
from typer.core import TyperCommand, TyperOption

from cli.json_fields import WITHOUT_FIELDS
from ledger import FIELD_NAMES

_JSON: Final = "--json"


class Command(TyperCommand):
    """Refuses an option that is given twice if it takes one value."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:  # type: ignore[override]  # contexts are all Typer's
        if not ctx.resilient_parsing:
            args = list(self._with_fields(ctx, args))
            self._refuse_repeated(ctx, args)
        return super().parse_args(ctx, args)

    @property
    def options(self) -> list[TyperOption]:
        return [option for option in self.params if isinstance(option, TyperOption)]

    @property
    def names_with_value(self) -> set[str]:
        return {name for option in self.options if not option.is_flag for name in option.opts}

    def _refuse_repeated(self, ctx: Context, args: Sequence[str]) -> None:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        given = Counter(each.name for each in order if isinstance(each, TyperOption))
        for option in order:
            if option.is_eager:
                # Help and the like answer first.
                return
        for option in self.options:
            is_once = not (option.multiple or option.count or (option.is_flag and not option.secondary_opts))
            if is_once and given[option.name] > 1:
                name = " / ".join((*option.opts, *option.secondary_opts))
                ctx.fail(f"Option '{name}' is given {given[option.name]} times, but takes one value.")

    def _with_fields(self, ctx: Context, args: Sequence[str]) -> Iterator[str]:
        """The words, with a value after each `--json` that may have one."""
        takes_fields = any(_JSON in option.opts and not option.is_flag for option in self.options)
        with_value = self.names_with_value - {_JSON}
        is_value = is_over = False
        for word, following in zip_longest(args, args[1:], fillvalue=""):
            is_over = is_over or (word == "--" and not is_value)
            if not takes_fields or is_over or is_value or word != _JSON:
                yield word
            else:
                self._refuse_loose_fields(ctx, following)
                yield f"{_JSON}={WITHOUT_FIELDS}"
            is_value = not is_over and not is_value and word in with_value

    def _refuse_loose_fields(self, ctx: Context, word: str) -> None:
        """Say how fields are written if they stand behind a blank, where another word would be wrong, too."""
        has_arguments = len(self.options) < len(self.params)
        if not has_arguments and all(name in FIELD_NAMES for name in word.split(",")):
            ctx.fail(f"Fields stand behind an equals sign: {_JSON}={word}")

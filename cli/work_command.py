"""How `tt work` and `tt bisect` parse their command lines: their own options, then `--` and the program with its options."""

from __future__ import annotations

from typing import ClassVar

from typer import Context

from cli.command_line import Command


class WorkCommand(Command):
    """Explains where the program goes if one of its options was taken for one of ours."""

    usage: ClassVar = "tt work AGENT [OPTIONS] -- COMMAND [ARG]..."

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:  # type: ignore[override]  # contexts are all Typer's
        foreign = None if "--" in args else self._first_foreign_option(args)
        if foreign is not None:
            ctx.fail(f"No such option: {foreign}. If it is the program's, put -- before the program: {self.usage}")
        return super().parse_args(ctx, args)

    def _first_foreign_option(self, args: list[str]) -> str | None:
        flags = {"-h", "--help", *(name for option in self.options if option.is_flag for name in option.opts)}
        with_value = self.names_with_value
        previous = ""
        for word in args:
            name = word.partition("=")[0]
            if word.startswith("-") and previous not in with_value and name not in flags | with_value:
                return name
            previous = word
        return None


class BisectCommand(WorkCommand):
    """The same of `tt bisect`."""

    usage: ClassVar = "tt bisect --good WHEN --bad WHEN -- COMMAND [ARG]..."

"""`tt trust`: shows what a folder would make `tt` connect to and load, and allows it once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.options import ActorOption, JsonOption, TownOption
from cli.output import say, say_json
from cli.text import visible
from shapes.towns import revoked_shape, trust_shape
from town import TrustReport, grant_trust, look_at_trust, place_of_trust, revoke_trust


def trust(
    *,
    is_sure: Annotated[bool, typer.Option("--yes", help="Allow it without asking; needed without a terminal.")] = False,
    is_revoked: Annotated[
        bool, typer.Option("--revoke", help="Take back what was allowed; the folder's files stay.")
    ] = False,
    town: TownOption = None,
    actor: ActorOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the town's folder would make tt connect to and load, and allow it from now on.

    Needed for what was not made here: a cloned repository with a server's URL, or data that was copied, unpacked or
    restored. What you allow is kept in ~/.tt/trusted; if it changes, you are asked again.
    """
    del actor  # every command takes it; nothing is written here that names who acts
    if is_revoked:
        # The folder is not examined first: it may be refused by now, and that is no reason to keep trusting it.
        report = place_of_trust(town)
        revoked = revoke_trust(report.folder)
        if as_json:
            say_json(revoked_shape(report, revoked=revoked))
            return
        say(
            f"{visible(str(report.folder))}: "
            + ("what was allowed is taken back." if revoked else "nothing was allowed.")
        )
        return
    report = look_at_trust(town)
    if not report.questions:
        _say_outcome(report, "there is nothing to allow.", as_json=as_json, is_allowed=True)
        return
    if not as_json:
        say(f"{visible(str(report.folder))} would make tt")
        for question in report.questions:
            say(f"  {visible(question)}")
    if not (is_sure or (sys.stdin.isatty() and not as_json and typer.confirm("Allow this from now on?"))):
        _say_outcome(report, "nothing is allowed. To allow it, say --yes.", as_json=as_json, is_allowed=False)
        raise typer.Exit(1)
    grant_trust(report)
    _say_outcome(report, "allowed from now on.", as_json=as_json, is_allowed=True)


def _say_outcome(report: TrustReport, words: str, *, as_json: bool, is_allowed: bool) -> None:
    if as_json:
        say_json(trust_shape(report, is_allowed=is_allowed))
        return
    say(f"{visible(str(report.folder))}: {words}")

"""Writers that lose their server and open the town again at once: what they were told, and what was acknowledged to them."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from ledger import StoreUnavailableError
from town import Town

_STOP_FILE = "stop"


class Account(Struct):
    """What one writer saw: the tasks that were acknowledged, and each error with its class."""

    tasks: list[str] = []
    errors: list[tuple[str, str]] = []


def write_and_reopen(folder: str, accounts: str, writer: str) -> None:
    """Create tasks until `ask_to_end`; after an error open the town again at once, which starts its server."""
    place, account = Path(accounts), Account()
    while not (place / _STOP_FILE).exists():
        try:
            with Town.open(folder, actor=f"writer-{writer}") as town:
                while not (place / _STOP_FILE).exists():
                    account.tasks.append(town.create(f"{writer}: {len(account.tasks)}").task.id)
        except StoreUnavailableError as error:
            account.errors.append((type(error).__name__, str(error)))
    (place / f"{writer}.json").write_bytes(msgspec.json.encode(account))


def ask_to_end(accounts: Path) -> None:
    (accounts / _STOP_FILE).touch()


def read_account(accounts: Path, writer: int) -> Account:
    """What a writer that has ended saw."""
    return msgspec.json.decode((accounts / f"{writer}.json").read_bytes(), type=Account)

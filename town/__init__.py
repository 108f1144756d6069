"""The door for programs: one object with every verb, the folder, the connection and the embedded server.

`Town` is all that most programs need; `cli` uses nothing else.
"""

from town.connection import Connection, connect, server_url
from town.doctor import Check, CheckState, examine
from town.durability import Durability
from town.errors import (
    FolderRefusedError,
    ForeignServerError,
    ImportRefusedError,
    MetricsPortError,
    MomentError,
    ServerNotOwnError,
    ServerStartError,
    ServerTooOldError,
    SettingsError,
    TownExistsError,
    TownNotFoundError,
)
from town.event_filter import EVERY_EVENT, EventFilter
from town.event_reader import EVENTS_COUNT
from town.folder import RedisSettings, Settings, absolute, find_folder, is_town, read_settings
from town.moment import WHEN_HELP, Moment, parse_moment
from town.registry import RegisteredTown, register_town, registered_towns
from town.server import EmbeddedServer
from town.servers import FoundTown, Switched, TownState, find_towns, start_town, stop_town
from town.town import ImportReceipt, Town, current_actor
from town.worker import Worker, WorkerMetrics, WorkerReport
from town.writer import Receipt

__all__ = [
    "EVENTS_COUNT",
    "EVERY_EVENT",
    "WHEN_HELP",
    "Check",
    "CheckState",
    "Connection",
    "Durability",
    "EmbeddedServer",
    "EventFilter",
    "FolderRefusedError",
    "ForeignServerError",
    "FoundTown",
    "ImportReceipt",
    "ImportRefusedError",
    "MetricsPortError",
    "Moment",
    "MomentError",
    "Receipt",
    "RedisSettings",
    "RegisteredTown",
    "ServerNotOwnError",
    "ServerStartError",
    "ServerTooOldError",
    "Settings",
    "SettingsError",
    "Switched",
    "Town",
    "TownExistsError",
    "TownNotFoundError",
    "TownState",
    "Worker",
    "WorkerMetrics",
    "WorkerReport",
    "absolute",
    "connect",
    "current_actor",
    "examine",
    "find_folder",
    "find_towns",
    "is_town",
    "parse_moment",
    "read_settings",
    "register_town",
    "registered_towns",
    "server_url",
    "start_town",
    "stop_town",
]

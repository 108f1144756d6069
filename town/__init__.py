"""The door for programs: one object with every verb, the folder, the connection and the embedded server.

`Town` is all that most programs need; `cli` uses nothing else.
"""

from town.agents.program import GRACE_SECONDS
from town.agents.run import Outcome, RunListener, RunReport
from town.agents.runner import Runner, Stop
from town.aof.damage_scan import Damage
from town.aof.salvage import Salvage, SalvagedFile
from town.doctor import Check, CheckState, examine
from town.errors import (
    DiskFullError,
    FileDamagedError,
    FolderRefusedError,
    ForeignServerError,
    ImportRefusedError,
    LegacyKeptError,
    MetricsPortError,
    MigrationSourceError,
    MomentError,
    NotOursError,
    NotTrustedError,
    OvertakenError,
    PlacedFault,
    PlanChangedError,
    PlanExistsError,
    PlanMissingError,
    PlanOutsideError,
    PlanRefusedError,
    PlanTooLargeError,
    ProgramNotFoundError,
    ProgramNotStartedError,
    ProgramRefusedError,
    RepairRefusedError,
    RunUnfinishedError,
    ServerEndedError,
    ServerNotOwnError,
    ServerStartError,
    ServerStoppedError,
    ServerTooOldError,
    SettingsError,
    TownExistsError,
    TownNotFoundError,
    UnfitNameError,
)
from town.folder.search import FoundFolder, find_folder
from town.folder.settings import RedisSettings, Settings, absolute, is_town, name_ledger, read_settings, start_of_search
from town.folder.tinytown_places import OldPlace
from town.home.grants import revoke_trust
from town.home.registry import RegisteredTown, register_town, registered_towns
from town.migration.legacy import LegacyKeys
from town.migration.migration import Migration, MigrationReport
from town.migration.survey import Irregular, MigrationProgress, Outlook, Skipped
from town.plans.file import PLAN_FILE, PlanFile, make_plan_file, read_plan_file
from town.plans.plan import Plan, PlanFault, PlannedTask
from town.plans.receipts import PlanChange, PlanComparison, PlanKept, PullChange, PullReceipt, PushReceipt
from town.reading.event_filter import EVERY_EVENT, EventFilter
from town.reading.event_reader import EVENTS_COUNT
from town.reading.hierarchy import Branch
from town.reading.local_zone import in_local_zone
from town.reading.moment import WHEN_HELP, Moment, parse_moment
from town.reading.wait import Waited
from town.repair.mend import AffectedTask, Loss, LostEvent, LostEvents, MendedTown
from town.repair.repairing import BEHIND_FILE, EVENTS_FILE, Repair, RepairPlan, opened_repair
from town.runs.reclaim import LostTask
from town.runs.run_mark import new_mark
from town.server.connection import Connection, connect, server_url
from town.server.durability import Durability
from town.server.own_server import EmbeddedServer
from town.server.servers import FoundTown, Stopped, Switched, TownState, find_towns, start_town, stop_town
from town.town import ImportReceipt, Town, current_actor
from town.trust.consent import TrustReport, grant_trust, look_at_trust
from town.worker import Worker, WorkerMetrics, WorkerReport
from town.writer import Receipt

__all__ = [
    "BEHIND_FILE",
    "EVENTS_COUNT",
    "EVENTS_FILE",
    "EVERY_EVENT",
    "GRACE_SECONDS",
    "PLAN_FILE",
    "WHEN_HELP",
    "AffectedTask",
    "Branch",
    "Check",
    "CheckState",
    "Connection",
    "Damage",
    "DiskFullError",
    "Durability",
    "EmbeddedServer",
    "EventFilter",
    "FileDamagedError",
    "FolderRefusedError",
    "ForeignServerError",
    "FoundFolder",
    "FoundTown",
    "ImportReceipt",
    "ImportRefusedError",
    "Irregular",
    "LegacyKeptError",
    "LegacyKeys",
    "Loss",
    "LostEvent",
    "LostEvents",
    "LostTask",
    "MendedTown",
    "MetricsPortError",
    "Migration",
    "MigrationProgress",
    "MigrationReport",
    "MigrationSourceError",
    "Moment",
    "MomentError",
    "NotOursError",
    "NotTrustedError",
    "OldPlace",
    "Outcome",
    "Outlook",
    "OvertakenError",
    "PlacedFault",
    "Plan",
    "PlanChange",
    "PlanChangedError",
    "PlanComparison",
    "PlanExistsError",
    "PlanFault",
    "PlanFile",
    "PlanKept",
    "PlanMissingError",
    "PlanOutsideError",
    "PlanRefusedError",
    "PlanTooLargeError",
    "PlannedTask",
    "ProgramNotFoundError",
    "ProgramNotStartedError",
    "ProgramRefusedError",
    "PullChange",
    "PullReceipt",
    "PushReceipt",
    "Receipt",
    "RedisSettings",
    "RegisteredTown",
    "Repair",
    "RepairPlan",
    "RepairRefusedError",
    "RunListener",
    "RunReport",
    "RunUnfinishedError",
    "Runner",
    "Salvage",
    "SalvagedFile",
    "ServerEndedError",
    "ServerNotOwnError",
    "ServerStartError",
    "ServerStoppedError",
    "ServerTooOldError",
    "Settings",
    "SettingsError",
    "Skipped",
    "Stop",
    "Stopped",
    "Switched",
    "Town",
    "TownExistsError",
    "TownNotFoundError",
    "TownState",
    "TrustReport",
    "UnfitNameError",
    "Waited",
    "Worker",
    "WorkerMetrics",
    "WorkerReport",
    "absolute",
    "connect",
    "current_actor",
    "examine",
    "find_folder",
    "find_towns",
    "grant_trust",
    "in_local_zone",
    "is_town",
    "look_at_trust",
    "make_plan_file",
    "name_ledger",
    "new_mark",
    "opened_repair",
    "parse_moment",
    "read_plan_file",
    "read_settings",
    "register_town",
    "registered_towns",
    "revoke_trust",
    "server_url",
    "start_of_search",
    "start_town",
    "stop_town",
]

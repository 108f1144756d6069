"""The door for programs: one object with every verb, the folder, the connection and the embedded server.

`Town` is all that most programs need; `cli` uses nothing else.
"""

from typing import TYPE_CHECKING

from ledger import open_front_door

if TYPE_CHECKING:
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
    from town.folder.settings import (
        RedisSettings,
        Settings,
        absolute,
        is_town,
        name_ledger,
        read_settings,
        start_of_search,
    )
    from town.folder.tinytown_places import OldPlace
    from town.home.grants import revoke_trust
    from town.home.registry import RegisteredTown, register_town, registered_towns
    from town.imports.importer import ImportReceipt
    from town.migration.legacy import LegacyKeys
    from town.migration.migration import Migration, MigrationReport
    from town.migration.survey import Irregular, MigrationProgress, Outlook, Skipped
    from town.opening import current_actor
    from town.plans.file import PLAN_FILE, PlanFile, make_plan_file, read_plan_file
    from town.plans.plan import Plan, PlanFault, PlannedTask
    from town.plans.receipts import PlanChange, PlanComparison, PlanKept, PullChange, PullReceipt, PushReceipt
    from town.reading.event_filter import EVERY_EVENT, EventFilter
    from town.reading.event_reader import EVENTS_COUNT
    from town.reading.hierarchy import Branch
    from town.reading.local_zone import in_local_zone
    from town.reading.moment import WHEN_HELP, Moment, parse_moment
    from town.reading.reader import Noted, Reader
    from town.reading.wait import Waited
    from town.repair.mend import AffectedTask, Loss, LostEvent, LostEvents, MendedTown
    from town.repair.repairing import BEHIND_FILE, EVENTS_FILE, Repair, RepairPlan, opened_repair
    from town.runs.reclaim import LostTask
    from town.runs.run_mark import new_mark
    from town.server.connection import Connection, connect, server_url
    from town.server.durability import Durability, read_durability
    from town.server.own_server import EmbeddedServer
    from town.server.servers import FoundTown, Stopped, Switched, TownState, find_towns, start_town, stop_town
    from town.town import Town
    from town.trust.consent import TrustReport, grant_trust, look_at_trust, place_of_trust
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
    "Noted",
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
    "Reader",
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
    "place_of_trust",
    "read_durability",
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

open_front_door(
    __name__,
    {
        "agents.program": "GRACE_SECONDS",
        "agents.run": "Outcome RunListener RunReport",
        "agents.runner": "Runner Stop",
        "aof.damage_scan": "Damage",
        "aof.salvage": "Salvage SalvagedFile",
        "doctor": "Check CheckState examine",
        "errors": "DiskFullError FileDamagedError FolderRefusedError ForeignServerError ImportRefusedError "
        "LegacyKeptError MetricsPortError MigrationSourceError MomentError NotOursError NotTrustedError "
        "OvertakenError PlacedFault PlanChangedError PlanExistsError PlanMissingError PlanOutsideError "
        "PlanRefusedError PlanTooLargeError ProgramNotFoundError ProgramNotStartedError ProgramRefusedError "
        "RepairRefusedError RunUnfinishedError ServerEndedError ServerNotOwnError ServerStartError "
        "ServerStoppedError ServerTooOldError SettingsError TownExistsError TownNotFoundError UnfitNameError",
        "folder.search": "FoundFolder find_folder",
        "folder.settings": "RedisSettings Settings absolute is_town name_ledger read_settings start_of_search",
        "folder.tinytown_places": "OldPlace",
        "home.grants": "revoke_trust",
        "home.registry": "RegisteredTown register_town registered_towns",
        "imports.importer": "ImportReceipt",
        "migration.legacy": "LegacyKeys",
        "migration.migration": "Migration MigrationReport",
        "migration.survey": "Irregular MigrationProgress Outlook Skipped",
        "opening": "current_actor",
        "plans.file": "PLAN_FILE PlanFile make_plan_file read_plan_file",
        "plans.plan": "Plan PlanFault PlannedTask",
        "plans.receipts": "PlanChange PlanComparison PlanKept PullChange PullReceipt PushReceipt",
        "reading.event_filter": "EVERY_EVENT EventFilter",
        "reading.event_reader": "EVENTS_COUNT",
        "reading.hierarchy": "Branch",
        "reading.local_zone": "in_local_zone",
        "reading.moment": "WHEN_HELP Moment parse_moment",
        "reading.reader": "Noted Reader",
        "reading.wait": "Waited",
        "repair.mend": "AffectedTask Loss LostEvent LostEvents MendedTown",
        "repair.repairing": "BEHIND_FILE EVENTS_FILE Repair RepairPlan opened_repair",
        "runs.reclaim": "LostTask",
        "runs.run_mark": "new_mark",
        "server.connection": "Connection connect server_url",
        "server.durability": "Durability read_durability",
        "server.own_server": "EmbeddedServer",
        "server.servers": "FoundTown Stopped Switched TownState find_towns start_town stop_town",
        "town": "Town",
        "trust.consent": "TrustReport grant_trust look_at_trust place_of_trust",
        "worker": "Worker WorkerMetrics WorkerReport",
        "writer": "Receipt",
    },
)

"""The door for programs: one object with every verb, the folder, the connection and the embedded server.

`Town` is all that most programs need; `cli` and `agent_tools` use nothing else.
"""

from typing import TYPE_CHECKING

from ledger import open_front_door

if TYPE_CHECKING:
    from town.advice import problem_of, words_of
    from town.agents.program import GRACE_SECONDS
    from town.agents.reclaim_watch import MovedTask, ReclaimListener, ReclaimWatch
    from town.agents.run import RunListener, RunOutcome, RunReport
    from town.agents.run_log import RunOutput
    from town.agents.runner import Runner, Stop
    from town.aof.damage_scan import Damage
    from town.doctor import Check, CheckState, examine
    from town.errors import (
        AgentNotesRefusedError,
        BisectionRefusedError,
        DiskFullError,
        ExportRefusedError,
        FileDamagedError,
        FolderRefusedError,
        ForeignServerError,
        ForkRefusedError,
        ImportRefusedError,
        LedgerFileRefusedError,
        LegacyKeptError,
        McpMissingError,
        McpPortError,
        MetricsPortError,
        MigrationSourceError,
        MomentError,
        MoveRefusedError,
        NothingToUndoError,
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
        ProbeFailedError,
        ProgramNotFoundError,
        ProgramNotStartedError,
        ProgramRefusedError,
        RecoveryRefusedError,
        RepairRefusedError,
        RunUnfinishedError,
        ServePortError,
        ServerEndedError,
        ServerNotOwnError,
        ServerStartError,
        ServerStoppedError,
        ServerTooOldError,
        SettingsError,
        TextUnreadableError,
        TokenFileRefusedError,
        TownExistsError,
        TownNotFoundError,
        UnfitNameError,
    )
    from town.exports.exporter import ExportReceipt, Format, format_of
    from town.files.text_file import read_text, read_text_file
    from town.fleet import ListedTown, list_towns
    from town.fleet_worker import FleetWorker
    from town.folder.agent_notes import AgentNotes, NotesChange
    from town.folder.search import FoundFolder, find_folder
    from town.folder.settings import name_ledger, start_of_search
    from town.folder.tinytown_places import OldPlace
    from town.home.grants import revoke_trust
    from town.home.shell_files import install_script
    from town.imports.importer import ImportReceipt
    from town.imports.ledger import LedgerReceipt
    from town.migration.legacy import LegacyKeys
    from town.migration.migration import Migration, MigrationReport
    from town.migration.survey import Irregular, MigrationPreview, MigrationProgress, Skipped
    from town.moving import Move, move_town
    from town.opening import current_actor
    from town.peeking import Peek, peek
    from town.plans.file import PLAN_FILE, make_plan_file, read_plan_file
    from town.plans.plan import DAY_BEGINS, DAY_ENDS, Plan, PlanFault, PlannedTask
    from town.plans.receipts import PlanChange, PlanKept, PullChange, PullReceipt, PushReceipt
    from town.probe import Look, Probe
    from town.reading.annotations import Annotation
    from town.reading.blocking import Since
    from town.reading.board_steps import BoardStep, read_steps_after, read_steps_upto
    from town.reading.details import Details
    from town.reading.event_filter import EventFilter
    from town.reading.event_reader import EVENTS_COUNT
    from town.reading.event_search import EventPage
    from town.reading.hierarchy import Branch
    from town.reading.inbox import Inbox
    from town.reading.local_zone import in_local_zone, local_day, local_time, local_times, zone_name
    from town.reading.lost_tasks import LostTask, LostTasks
    from town.reading.moment import (
        TIME_HELP,
        WHEN_HELP,
        HeadBack,
        Moment,
        MomentSyntaxError,
        Now,
        StateEntered,
        TimeSyntaxError,
    )
    from town.reading.names import Names, NewName
    from town.reading.reader import Reader
    from town.reading.reasons import Why
    from town.reading.report import AGENT, DAY, PERIOD_DAYS, TAG, Group, Grouping, Period, Report
    from town.reading.titles import Title
    from town.reading.wait import Until
    from town.reading.when import event_named, understand, understand_ahead
    from town.receipts.setting_aside import forget_receipts
    from town.recovery.gap import Fate, Gap, GoneEvent, Recovered
    from town.repair.mend import Loss, LostEvents, MendedTown
    from town.repair.repairing import BEHIND_FILE, EVENTS_FILE, Repair, RepairPlan, opened_repair
    from town.server.durability import Durability, read_durability
    from town.server.loopback_peer import is_of_another_user
    from town.server.own_server import EmbeddedServer
    from town.server.servers import TownState, find_towns, start_town, stop_town
    from town.town import Fork, Town
    from town.trust.consent import TrustReport, grant_trust, look_at_trust, place_of_trust
    from town.undoing import UndoReceipt
    from town.verbs import KEEP
    from town.worker import Worker, WorkerMetrics, WorkerReport
    from town.writer import Receipt

__all__ = [
    "AGENT",
    "BEHIND_FILE",
    "DAY",
    "DAY_BEGINS",
    "DAY_ENDS",
    "EVENTS_COUNT",
    "EVENTS_FILE",
    "GRACE_SECONDS",
    "KEEP",
    "PERIOD_DAYS",
    "PLAN_FILE",
    "TAG",
    "TIME_HELP",
    "WHEN_HELP",
    "AgentNotes",
    "AgentNotesRefusedError",
    "Annotation",
    "BisectionRefusedError",
    "BoardStep",
    "Branch",
    "Check",
    "CheckState",
    "Damage",
    "Details",
    "DiskFullError",
    "Durability",
    "EmbeddedServer",
    "EventFilter",
    "EventPage",
    "ExportReceipt",
    "ExportRefusedError",
    "Fate",
    "FileDamagedError",
    "FleetWorker",
    "FolderRefusedError",
    "ForeignServerError",
    "Fork",
    "ForkRefusedError",
    "Format",
    "FoundFolder",
    "Gap",
    "GoneEvent",
    "Group",
    "Grouping",
    "HeadBack",
    "ImportReceipt",
    "ImportRefusedError",
    "Inbox",
    "Irregular",
    "LedgerFileRefusedError",
    "LedgerReceipt",
    "LegacyKeptError",
    "LegacyKeys",
    "ListedTown",
    "Look",
    "Loss",
    "LostEvents",
    "LostTask",
    "LostTasks",
    "McpMissingError",
    "McpPortError",
    "MendedTown",
    "MetricsPortError",
    "Migration",
    "MigrationPreview",
    "MigrationProgress",
    "MigrationReport",
    "MigrationSourceError",
    "Moment",
    "MomentError",
    "MomentSyntaxError",
    "Move",
    "MoveRefusedError",
    "MovedTask",
    "Names",
    "NewName",
    "NotOursError",
    "NotTrustedError",
    "NotesChange",
    "NothingToUndoError",
    "Now",
    "OldPlace",
    "OvertakenError",
    "Peek",
    "Period",
    "PlacedFault",
    "Plan",
    "PlanChange",
    "PlanChangedError",
    "PlanExistsError",
    "PlanFault",
    "PlanKept",
    "PlanMissingError",
    "PlanOutsideError",
    "PlanRefusedError",
    "PlanTooLargeError",
    "PlannedTask",
    "Probe",
    "ProbeFailedError",
    "ProgramNotFoundError",
    "ProgramNotStartedError",
    "ProgramRefusedError",
    "PullChange",
    "PullReceipt",
    "PushReceipt",
    "Reader",
    "Receipt",
    "ReclaimListener",
    "ReclaimWatch",
    "Recovered",
    "RecoveryRefusedError",
    "Repair",
    "RepairPlan",
    "RepairRefusedError",
    "Report",
    "RunListener",
    "RunOutcome",
    "RunOutput",
    "RunReport",
    "RunUnfinishedError",
    "Runner",
    "ServePortError",
    "ServerEndedError",
    "ServerNotOwnError",
    "ServerStartError",
    "ServerStoppedError",
    "ServerTooOldError",
    "SettingsError",
    "Since",
    "Skipped",
    "StateEntered",
    "Stop",
    "TextUnreadableError",
    "TimeSyntaxError",
    "Title",
    "TokenFileRefusedError",
    "Town",
    "TownExistsError",
    "TownNotFoundError",
    "TownState",
    "TrustReport",
    "UndoReceipt",
    "UnfitNameError",
    "Until",
    "Why",
    "Worker",
    "WorkerMetrics",
    "WorkerReport",
    "current_actor",
    "event_named",
    "examine",
    "find_folder",
    "find_towns",
    "forget_receipts",
    "format_of",
    "grant_trust",
    "in_local_zone",
    "install_script",
    "is_of_another_user",
    "list_towns",
    "local_day",
    "local_time",
    "local_times",
    "look_at_trust",
    "make_plan_file",
    "move_town",
    "name_ledger",
    "opened_repair",
    "peek",
    "place_of_trust",
    "problem_of",
    "read_durability",
    "read_plan_file",
    "read_steps_after",
    "read_steps_upto",
    "read_text",
    "read_text_file",
    "revoke_trust",
    "start_of_search",
    "start_town",
    "stop_town",
    "understand",
    "understand_ahead",
    "words_of",
    "zone_name",
]

open_front_door(
    __name__,
    {
        "advice": "problem_of words_of",
        "agents.program": "GRACE_SECONDS",
        "agents.reclaim_watch": "MovedTask ReclaimListener ReclaimWatch",
        "agents.run": "RunListener RunOutcome RunReport",
        "agents.run_log": "RunOutput",
        "agents.runner": "Runner Stop",
        "aof.damage_scan": "Damage",
        "doctor": "Check CheckState examine",
        "errors": "AgentNotesRefusedError BisectionRefusedError DiskFullError ExportRefusedError FileDamagedError "
        "FolderRefusedError ForeignServerError ForkRefusedError ImportRefusedError LedgerFileRefusedError "
        "LegacyKeptError McpMissingError McpPortError MetricsPortError MigrationSourceError MomentError "
        "MoveRefusedError NotOursError NotTrustedError NothingToUndoError OvertakenError PlacedFault "
        "PlanChangedError PlanExistsError PlanMissingError PlanOutsideError PlanRefusedError "
        "PlanTooLargeError ProbeFailedError ProgramNotFoundError ProgramNotStartedError ProgramRefusedError "
        "RecoveryRefusedError RepairRefusedError RunUnfinishedError ServePortError ServerEndedError "
        "ServerNotOwnError ServerStartError ServerStoppedError ServerTooOldError SettingsError "
        "TextUnreadableError TokenFileRefusedError TownExistsError TownNotFoundError UnfitNameError",
        "exports.exporter": "ExportReceipt Format format_of",
        "files.text_file": "read_text read_text_file",
        "fleet": "ListedTown list_towns",
        "fleet_worker": "FleetWorker",
        "folder.agent_notes": "AgentNotes NotesChange",
        "folder.search": "FoundFolder find_folder",
        "folder.settings": "name_ledger start_of_search",
        "folder.tinytown_places": "OldPlace",
        "home.grants": "revoke_trust",
        "home.shell_files": "install_script",
        "imports.importer": "ImportReceipt",
        "imports.ledger": "LedgerReceipt",
        "migration.legacy": "LegacyKeys",
        "migration.migration": "Migration MigrationReport",
        "migration.survey": "Irregular MigrationPreview MigrationProgress Skipped",
        "moving": "Move move_town",
        "opening": "current_actor",
        "peeking": "Peek peek",
        "plans.file": "PLAN_FILE make_plan_file read_plan_file",
        "plans.plan": "DAY_BEGINS DAY_ENDS Plan PlanFault PlannedTask",
        "plans.receipts": "PlanChange PlanKept PullChange PullReceipt PushReceipt",
        "probe": "Look Probe",
        "reading.annotations": "Annotation",
        "reading.blocking": "Since",
        "reading.board_steps": "BoardStep read_steps_after read_steps_upto",
        "reading.details": "Details",
        "reading.event_filter": "EventFilter",
        "reading.event_reader": "EVENTS_COUNT",
        "reading.event_search": "EventPage",
        "reading.hierarchy": "Branch",
        "reading.inbox": "Inbox",
        "reading.local_zone": "in_local_zone local_day local_time local_times zone_name",
        "reading.lost_tasks": "LostTask LostTasks",
        "reading.moment": "TIME_HELP WHEN_HELP HeadBack Moment MomentSyntaxError Now StateEntered TimeSyntaxError",
        "reading.names": "Names NewName",
        "reading.reader": "Reader",
        "reading.reasons": "Why",
        "reading.report": "AGENT DAY PERIOD_DAYS TAG Group Grouping Period Report",
        "reading.titles": "Title",
        "reading.wait": "Until",
        "reading.when": "event_named understand understand_ahead",
        "receipts.setting_aside": "forget_receipts",
        "recovery.gap": "Fate Gap GoneEvent Recovered",
        "repair.mend": "Loss LostEvents MendedTown",
        "repair.repairing": "BEHIND_FILE EVENTS_FILE Repair RepairPlan opened_repair",
        "server.durability": "Durability read_durability",
        "server.loopback_peer": "is_of_another_user",
        "server.own_server": "EmbeddedServer",
        "server.servers": "TownState find_towns start_town stop_town",
        "town": "Fork Town",
        "trust.consent": "TrustReport grant_trust look_at_trust place_of_trust",
        "undoing": "UndoReceipt",
        "verbs": "KEEP",
        "worker": "Worker WorkerMetrics WorkerReport",
        "writer": "Receipt",
    },
)

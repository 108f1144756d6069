"""A storm: clients of every kind use towns while their servers fail, and a checker holds what they were told against the ledgers."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ledger import TownRecovered
from tests.support.chaos import Chaos
from tests.support.clusters import Node
from tests.support.history_checker import Finding, Kind, Verdict, check
from tests.support.processes import workers_at_the_line
from tests.support.projectors import running_projector
from tests.support.records import Call, Fault, Outcome, Reading, Record, encode_record, read_records
from town import Town
from town.folder.settings import SETTINGS_FILE

LOCAL: Final = "local"
"""Of `acks`: an event is acknowledged when the primary has it."""
TASKS_EACH: Final = 4
PROCESSES: Final = (
    "library-1,library-2,library-3,reader-1,pusher-1,rebuilder-1",
    "library-4,library-5,library-6,command-1,projector-1",
)
"""The clients of each process; `tt projector` is the twelfth."""
_PROJECTED_MAX: Final = 24
"""How many towns `tt projector` follows."""
_LOST_SHOWN_MAX: Final = 20
_FINDINGS_SHOWN_MAX: Final = 5


class Form(Struct, frozen=True):
    """How long a storm is, over how many towns, and what an event waits for in each: the settings of `acks` take turns.

    Each client rests for up to `pause_seconds_max` after each call.
    """

    seconds: float
    towns: int
    pause_seconds_max: float
    acks: tuple[str, ...] = (LOCAL,)

    @property
    def names(self) -> list[str]:
        return [f"t{number}" for number in range(self.towns)]

    def acks_of(self, name: str) -> str:
        return self.acks[int(name.removeprefix("t")) % len(self.acks)]


class Tempest(Struct, frozen=True):
    """What a storm left: for each town its verdict, and all that was written down."""

    verdicts: Mapping[str, Verdict]
    records: Sequence[Record]
    faults: Sequence[Fault]

    @property
    def findings(self) -> list[tuple[str, Finding]]:
        return [(town, finding) for town, verdict in self.verdicts.items() for finding in verdict.findings]

    @property
    def explained(self) -> list[tuple[str, Finding]]:
        return [(town, each) for town, verdict in self.verdicts.items() for each in verdict.explained]

    @property
    def lost(self) -> list[Call]:
        return [call for verdict in self.verdicts.values() for call in verdict.lost]

    @property
    def calls(self) -> list[Call]:
        return [record for record in self.records if isinstance(record, Call)]

    def describe(self) -> str:
        """Counts, faults, and the first findings with what is around them."""
        outcomes = Counter(f"{call.verb} {call.outcome}" for call in self.calls)
        readings = sum(isinstance(record, Reading) for record in self.records)
        lines = [
            f"{len(self.calls):,} calls and {readings:,} readings: {dict(sorted(outcomes.items()))}",
            *map(self._describe_fault, self.faults),
            f"lost: {len(self.lost)}: {[f'{call.town} {call.mark}' for call in self.lost[:_LOST_SHOWN_MAX]]}",
            f"explained: {Counter(each.kind.name for _, each in self.explained)}",
            *(f"  {town}: {each}" for town, each in self.explained if each.kind is Kind.DAMAGE),
            *(
                f"  unknown: {call.town} {call.mark} {call.verb}: {call.words}"
                for call in self.calls
                if call.outcome is Outcome.UNKNOWN
            ),
            f"{len(self.findings)} findings: {Counter(finding.kind.name for _, finding in self.findings)}",
            *(f"{town}: {finding}" for town, finding in self.findings[:_FINDINGS_SHOWN_MAX]),
        ]
        return "\n".join(lines)

    def _describe_fault(self, fault: Fault) -> str:
        lost = sum(fault.began <= call.ended <= fault.ended and call.town in fault.towns for call in self.lost)
        return f"  {fault.ended - fault.began:.1f} s: {fault.words}, {len(fault.towns)} towns, {lost} lost"


def make_towns(folders: Path, form: Form, url: str) -> list[Call]:
    """Towns with a few tasks each, on the servers at `url`, and the records of their tasks' creation."""
    made: list[Call] = []
    for name in form.names:
        acks = form.acks_of(name)
        with Town.init(folders / name, name=name, url=url) as town:
            if acks != LOCAL:
                settings = folders / name / SETTINGS_FILE
                text = settings.read_text(encoding="utf-8")
                settings.write_text(text.replace("[redis]\n", f'[redis]\nacks = "{acks}"\n'), encoding="utf-8")
            for number in range(TASKS_EACH):
                mark = f"first-{number}"
                began = time.monotonic()
                receipt = town.create(f"task {number}", reason=mark)
                made.append(
                    Call(
                        mark=mark,
                        client="first",
                        town=name,
                        verb="create",
                        task=receipt.task.id,
                        began=began,
                        ended=time.monotonic(),
                        outcome=Outcome.ACKNOWLEDGED,
                        positions=tuple(map(str, receipt.positions)),
                    )
                )
    return made


def storm(
    chaos: Chaos,
    *,
    folders: Path,
    logs: Path,
    made: Sequence[Call],
    seed: str,
    form: Form,
    watchers: Sequence[Node],
) -> Tempest:
    """Let clients and chaos loose, and check what came of it. `watchers` have the logs that tell of failovers."""
    stop = logs / "stop"
    with ExitStack() as stack:
        lines = [(folders, seed, names, logs, stop, form.pause_seconds_max) for names in PROCESSES]
        clients = stack.enter_context(workers_at_the_line("storm", lines))
        towns = [word for name in chaos.towns[:_PROJECTED_MAX] for word in ("--town", str(folders / name))]
        projector = stack.enter_context(running_projector(*towns, folder=folders, logs=logs.parent))
        chaos.clients = [*(client.process.pid for client in clients), projector.process.pid]
        for client in clients:
            client.go()
        # A client that ended has failed.
        chaos.rage(form.seconds, look=lambda: [client.check() for client in clients])
        chaos.settle()
        stop.touch()
        for client in clients:
            client.finish()
        assert projector.process.poll() is None, projector.err
        projector.end()
    chaos.add_unplanned(*watchers)
    stop.unlink()
    records: list[Record] = [*made, *(record for log in sorted(logs.iterdir()) for record in read_records(log))]
    rest: list[Record] = [*chaos.faults, *made]
    (logs / "rest").write_bytes(b"".join(map(encode_record, rest)))
    return judge(folders, chaos, records)


def recover(folders: Path, names: Sequence[str], chaos: Chaos, records: Sequence[Record]) -> Tempest:
    """Recover these towns by the receipts of this machine, accept the loss of what cannot be appended again, and check again."""
    for name in names:
        with Town.open(folders / name, actor="recovery") as town:
            if town.recovery.recover().gap.remaining:
                town.recovery.accept_loss(name)
    return judge(folders, chaos, records)


def judge(folders: Path, chaos: Chaos, records: Sequence[Record]) -> Tempest:
    """Hold the records against the ledgers; each town has to be as a fold of its ledger, too."""
    calls, readings = defaultdict[str, list[Call]](list), defaultdict[str, list[Reading]](list)
    for record in records:
        match record:
            case Call():
                calls[record.town].append(record)
            case Reading():
                readings[record.town].append(record)
    verdicts: dict[str, Verdict] = {}
    for name in chaos.towns:
        with Town.open(folders / name) as town:
            events = [event for batch in town.backend.store.read_batches() for event in batch]
            town.upkeep.catch_up()
            verified = town.upkeep.verify()
        assert not verified.findings, (name, verified.findings)
        faults = list(_as_seen_from(name, chaos.faults))
        recovered = next((event.position.seq - 1 for event in events if isinstance(event.data, TownRecovered)), None)
        verdicts[name] = check(events, calls[name], readings[name], faults, recovered_after=recovered)
    return Tempest(verdicts, records, chaos.faults)


def _as_seen_from(name: str, faults: Sequence[Fault]) -> Iterator[Fault]:
    for fault in faults:
        yield replace(fault, towns=fault.towns & {name})


def chosen_seed() -> str:
    """TT_SEED, or one of the moment. A test prints it: the same seed wishes the same things and does the same to the servers."""
    return os.environ.get("TT_SEED") or f"{time.time_ns():x}"

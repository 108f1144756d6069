// The page: opens the town, follows it, and shows what the place says.

import { getTowns, giveToken, headersOf, needsToken, useTown } from "./api.js";
import { Columns } from "./columns.js";
import { Dialog } from "./dialog.js";
import { FilterBar } from "./filters.js";
import { KEYS, listenForKeys } from "./keys.js";
import { ListPage } from "./list.js";
import { Live } from "./live.js";
import { Lazy, Loading, ProblemNote, useAnswer } from "./loading.js";
import { LIVE } from "./place.js";
import { Player } from "./player.js";
import { adjust, follow, go, place } from "./router.js";
import { Session } from "./session.js";
import { switchTheme, theme } from "./theme.js";
import { PastNote, TimeBar } from "./time_bar.js";
import { Value } from "./value.js";
import { html, Icon, render, useEffect, useState, useValue } from "./view.js";
import { brief } from "./words.js";

// The board is there at once; the other pages are loaded when they are shown, or when there is nothing else to do.
const LAZY = {
  task: () => import("./task_page.js"),
  diff: () => import("./diff_page.js"),
  charts: () => import("./charts_page.js"),
  agents: () => import("./agents_page.js"),
  inbox: () => import("./inbox_page.js"),
};
const loadActions = () => import("./actions.js");
const IDLE_MS = 2_000;
const TABS = [["board", "Board"], ["list", "List"], ["inbox", "Inbox"], ["agents", "Agents"], ["charts", "Charts"], ["diff", "Changes"]];
const CLOCK_MS = 20_000;
const TOWN_MS = 1_000;

useTown(place.now.town);
const session = new Session();
const player = new Player(session);
const opened = new Value(null);
const live = new Live({
  onEvent: (event) => {
    session.saw(event);
    refreshTown();
  },
  onBegin: (position) => session.sawPosition(position),
  // An older ledger was put back: nothing that the page knows is sure.
  onLost: () => location.reload(),
});

async function open() {
  try {
    const town = await session.open();
    if (place.now.at > town.end.number) adjust({ at: town.end.number || LIVE });
    session.problem.set(null);
    opened.set(true);
    live.run(town.end.position);
    session.loadTimeline().catch((problem) => session.problem.set(problem));
  } catch (problem) {
    session.problem.set(problem);
    if (problem.status !== 401) setTimeout(open, 3_000);
  }
}

let refreshing = 0;

/** Agents and rights change rarely; they are asked for at most once a second. */
function refreshTown() {
  refreshing ||= setTimeout(() => {
    refreshing = 0;
    session.open().catch(() => {});
  }, TOWN_MS);
}

function App() {
  const here = useValue(place);
  const isOpened = useValue(opened);
  const board = useValue(session.board);
  const problem = useValue(session.problem);
  const [dialog, setDialog] = useState(null);
  const clock = useClock();
  useEffect(() => {
    if (isOpened) session.show(here);
  }, [isOpened, here]);
  useEffect(() => listenForKeys(actionsOf(setDialog)), []);
  useEffect(() => {
    document.title = `${session.town.now?.town ?? "Tinytown"}${here.at === LIVE ? "" : ` at event ${here.at}`}`;
  }, [here, isOpened]);
  const now = here.at === LIVE ? clock : Date.parse(board?.time ?? 0);
  return html`
    <a class="skip" href="#main">To the content</a>
    <${TopBar} onNew=${() => setDialog("new")} onHelp=${() => setDialog("help")} />
    <main id="main" tabindex="-1" data-page=${here.page} data-number=${board?.number ?? ""}>
      <${PastNote} player=${player} />
      ${problem && html`<${ProblemNote} problem=${problem} />`}
      ${isOpened ? html`<${Page} ...${{ here, board, now }} />` : !problem && html`<${Loading} />`}
    </main>
    <${TimeBar} session=${session} player=${player} live=${live} />
    ${dialog === "new" && html`<${Lazy} load=${loadActions} name="CreateDialog" agents=${Object.keys(session.town.now?.agents ?? {})} onClose=${() => setDialog(null)} />`}
    ${dialog === "help" && html`<${Help} onClose=${() => setDialog(null)} />`}
    <${TokenDialog} />`;
}

function Page({ here, board, now }) {
  if (LAZY[here.page]) return html`<${Lazy} key=${here.page} load=${LAZY[here.page]} name="Page" ...${{ session, board, now }} />`;
  const shown = board ? html`<${here.page === "list" ? ListPage : Columns} ...${{ board, now, session }} />` : !session.problem.now && html`<${Loading} />`;
  return html`<h1 class="only-read">${here.page === "list" ? "List" : "Board"}</h1><${FilterBar} session=${session} />${board?.number === 0 && html`<${NoTask} />`}${shown}`;
}

function NoTask() {
  return html`<p class="empty">No task yet. ${session.town.now?.may_write && html`<b>+ New</b> makes one, and so does `}<code>tt assign worker-1 "Write the tests"</code>.</p>`;
}

function TopBar({ onNew, onHelp }) {
  const here = useValue(place);
  const town = useValue(session.town);
  const look = useValue(theme);
  const towns = useAnswer(getTowns, [town?.town]).answer ?? [];
  const hasOthers = towns.length > 1;
  // A narrow screen has not room for all tabs: the one of this page has to be seen.
  useEffect(() => document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }), [here.page]);
  return html`<header class="top-bar">
    <a class="brand" ...${follow({ page: "board", task: null })}><img src="icon.svg" alt="" width="20" height="20" /><bdi class=${hasOthers ? "only-read" : ""}>${brief(town?.town ?? "Tinytown", 64)}</bdi></a>
    ${hasOthers && html`<${TownPicker} towns=${towns} own=${town?.town} />`}
    <nav aria-label="Pages"><ul>
      ${TABS.map(([page, words]) => html`<li><a aria-current=${here.page === page ? "page" : undefined} ...${follow({ page, task: null })}>${words}</a></li>`)}
    </ul></nav>
    <span class="spring"></span>
    ${town?.may_write && html`<button class="is-main" onClick=${onNew} title="New task ( n )"><span aria-hidden="true">+</span> New<span class="only-read"> task</span></button>`}
    ${town && !town.may_write && html`<span class="chip is-still">Read only</span>`}
    <button class="icon" onClick=${switchTheme} aria-label=${look === "dark" ? "Light theme" : "Dark theme"} title="Light or dark"><${Icon} name=${look === "dark" ? "sun" : "moon"} /></button>
    <button class="icon" onClick=${onHelp} aria-label="Help" title="Keys ( ? )">?</button>
  </header>`;
}

/** The towns of the server, if it has several. Another town is another page. */
function TownPicker({ towns, own }) {
  return html`<select class="towns" aria-label="Town" onChange=${({ target }) => location.assign(`?town=${encodeURIComponent(target.value)}`)}>
    ${towns.map(({ town }) => html`<option key=${town} selected=${town === own}>${town}</option>`)}</select>`;
}

function actionsOf(setDialog) {
  return {
    l: () => player.toLive(),
    p: () => player.toggle(),
    ",": () => player.step(-1),
    ".": () => player.step(1),
    "/": () => document.getElementById("search")?.focus(),
    n: () => session.town.now?.may_write && setDialog("new"),
    b: () => go({ page: "board", task: null }),
    i: () => go({ page: "inbox", task: null }),
    "?": () => setDialog("help"),
  };
}

function Help({ onClose }) {
  return html`<${Dialog} title="Keys" onClose=${onClose}>
    <dl class="keys">${KEYS.map(([key, words]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${words}</dd></div>`)}</dl>
    <p class="muted">On the strip of time, the arrow keys go event by event (with Shift ten), Page Up and Page Down farther, Home to the first event and End to live. The address names the moment: a link shows somebody else the same board.</p>
  <//>`;
}

function TokenDialog() {
  const isNeeded = useValue(needsToken);
  const [token, setToken] = useState("");
  if (!isNeeded) return null;
  const give = (event) => {
    event.preventDefault();
    giveToken(token.trim());
    setToken("");
    if (!opened.now) open();
  };
  return html`<${Dialog} title="A token is needed" onClose=${() => needsToken.set(false)}>
    <form class="command" onSubmit=${give}>
      ${headersOf().Authorization && html`<p class="problem" role="alert">The server does not know the token that was given.</p>`}
      <div class="field"><label for="token">Token</label><input id="token" type="password" autocomplete="off" required autofocus value=${token} onInput=${(event) => setToken(event.target.value)} aria-describedby="token-hint" />
      <p class="hint" id="token-hint">From the server’s token file. This tab keeps it until it is closed.</p></div>
      <div class="dialog-foot"><button class="is-main">Go on</button></div>
    </form>
  <//>`;
}

function useClock() {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), CLOCK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}


document.getElementById("app").replaceChildren();
render(html`<${App} />`, document.getElementById("app"));
open();
setTimeout(() => LAZY.task().catch(() => {}), IDLE_MS);

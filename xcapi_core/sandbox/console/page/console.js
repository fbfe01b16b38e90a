// The console: listens to the stream of events and keeps summary, list and details up to date.

import { close, isOpen, openDetails, refresh, wireDetails } from "./details.js";
import { announce, byId, copy } from "./dom.js";
import { showFaults, wireFaults } from "./faults.js";
import { KEPT, draw, forget, matching, take, wireList } from "./list.js";
import { showSummary } from "./summary.js";

const HINTS = {
  sandbox: `Point a client of X's Conversions API at ${location.origin} in place of https://ads-api.x.com.`,
  dev: "The events of your files appear here as they are sent.",
};
const TURN_MS = 3000; // between two streams of a page, when many tabs take turns
const THEMES = ["auto", "light", "dark"];

let generation = null;
const held = new Map(); // rows that came while paused: filters and copies are about what is shown
let paused = false;
let unseen = 0;
let latest = null; // the newest totals and faults
let scheduled = false;

function listen() {
  const stream = new EventSource("/console/stream");
  let lost = 0;
  stream.addEventListener("open", () => {
    clearTimeout(lost);
    lost = 0;
    connection("live");
  });
  stream.addEventListener("error", () => {
    lost ||= setTimeout(connection, TURN_MS, "reconnecting");
  });
  stream.addEventListener("changes", (event) => receive(JSON.parse(event.data)));
}

function connection(state) {
  byId("connection").dataset.state = state;
  byId("connection").textContent = state;
}

function receive(changes) {
  if (changes.generation !== generation) {
    generation = changes.generation;
    forget();
    held.clear();
    close();
    unseen = 0;
    schedule(); // what is gone is not shown, paused or not
  }
  latest = changes;
  showFaults(changes.faults);
  byId("mode").textContent = changes.mode;
  byId("hint").textContent = HINTS[changes.mode] ?? "";
  if (changes.rows.some((row) => isOpen(row.id))) refresh();
  if (paused) hold(changes.rows);
  else show(changes.rows);
}

function show(rows) {
  take(rows);
  unseen += rows.length;
  schedule();
}

function hold(rows) {
  for (const row of rows) held.set(row.id, row);
  for (const id of held.keys()) {
    if (held.size <= KEPT) break;
    held.delete(id);
  }
  byId("pause").textContent = held.size ? `Resume (${held.size.toLocaleString()} new)` : "Resume";
}

// However fast events come, the page is drawn once a frame.
function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    showSummary(latest.totals, latest.mode);
    draw();
    if (unseen) announce(`${unseen} event${unseen === 1 ? "" : "s"} new or changed, ${latest.totals.events} in all`);
    unseen = 0;
  });
}

function wire() {
  wireList(openDetails);
  wireDetails();
  wireFaults();
  byId("pause").addEventListener("click", () => {
    paused = !paused;
    byId("pause").setAttribute("aria-pressed", String(paused));
    byId("pause").textContent = paused ? "Resume" : "Pause";
    if (!paused) {
      show([...held.values()]);
      held.clear();
    }
  });
  byId("clear").addEventListener("click", () => fetch("/console/events", { method: "DELETE" }));
  byId("copy").addEventListener("click", () => copy(matching(), byId("copy")));
  byId("theme").addEventListener("click", () => {
    setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
  });
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = theme;
  byId("theme").setAttribute("aria-label", `Theme: ${theme}`);
  try { localStorage.setItem("theme", theme); } catch { /* without storage the choice lasts as long as the page */ }
}

function storedTheme() {
  try { return localStorage.getItem("theme"); } catch { return null; }
}

setTheme(THEMES.includes(storedTheme()) ? storedTheme() : "auto");
wire();
listen();

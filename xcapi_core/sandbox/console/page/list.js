// The list of events: newest first, filtered, and never more of it in the page than somebody reads.

import { byId, element } from "./dom.js";
import { DIALECTS, VERDICTS, clock } from "./words.js";

const A_PAGE = 200;
export const KEPT = 5000;

const rows = new Map();
let ids = []; // newest first
const drawn = new Map(); // id → { row, item }
let limit = A_PAGE;
let focusedId = null;
let open = () => {};

export function wireList(onOpen) {
  open = onOpen;
  byId("list").addEventListener("keydown", move);
  byId("more").addEventListener("click", () => { limit += A_PAGE; draw(); });
  for (const [id, event] of [["text", "input"], ["verdict", "change"], ["pixel", "change"]]) {
    byId(id).addEventListener(event, () => { limit = A_PAGE; draw(); });
  }
  for (const [value, text] of Object.entries(VERDICTS)) byId("verdict").append(element("option", { value, text }));
}

export function take(changed) {
  for (const row of changed) {
    if (!rows.has(row.id)) ids.push(row.id);
    rows.set(row.id, row);
  }
  ids.sort((one, other) => other - one);
  for (const id of ids.splice(KEPT)) rows.delete(id);
}

export function forget() {
  rows.clear();
  ids = [];
  limit = A_PAGE;
}

export const matching = () => {
  const text = byId("text").value.trim().toLowerCase();
  const verdict = byId("verdict").value;
  const pixel = byId("pixel").value;
  return ids.map((id) => rows.get(id)).filter((row) =>
    (!verdict || row.verdict === verdict) && (!pixel || row.pixel_id === pixel) && (!text || haystack(row).includes(text)));
};

export function draw() {
  drawPixels();
  const found = matching();
  const list = byId("list");
  const shown = found.slice(0, limit);
  const wanted = new Set(shown.map((row) => row.id));
  for (const [id, { item }] of drawn) {
    if (!wanted.has(id)) { item.remove(); drawn.delete(id); }
  }
  let next = list.firstElementChild;
  for (const row of shown) {
    const item = itemOf(row);
    if (item === next) next = next.nextElementSibling;
    else list.insertBefore(item, next);
  }
  if (!wanted.has(focusedId)) focusedId = shown[0]?.id ?? null;
  for (const [id, { item }] of drawn) item.firstElementChild.tabIndex = id === focusedId ? 0 : -1;
  byId("more").hidden = found.length <= limit;
  byId("empty").hidden = ids.length > 0;
  byId("shown").textContent = ids.length ? counted(shown.length, found.length) : "";
}

export function select(id) {
  for (const [other, { item }] of drawn) item.firstElementChild.setAttribute("aria-expanded", String(other === id));
}

export function focusRow(id) {
  drawn.get(id)?.item.firstElementChild.focus();
}

function counted(shown, found) {
  if (found === 0) return `none of ${ids.length.toLocaleString()} fits the filter`;
  const of = found < ids.length ? `${found.toLocaleString()} of ${ids.length.toLocaleString()}` : found.toLocaleString();
  return shown < found ? `${of}, the newest ${shown.toLocaleString()} shown` : of;
}

function haystack(row) {
  return [row.name, row.conversion_id, row.reason, row.pixel_id, DIALECTS[row.dialect] ?? row.dialect, VERDICTS[row.verdict]]
    .join("\n").toLowerCase();
}

function itemOf(row) {
  const before = drawn.get(row.id);
  if (before?.row === row) return before.item;
  const button = before?.item.firstElementChild ?? element("button", { type: "button", class: "row", tabIndex: -1, "aria-expanded": "false" });
  const item = before?.item ?? element("li", {}, button);
  if (!before) {
    button.addEventListener("click", () => { focus(row.id); open(row.id); });
    button.addEventListener("focus", () => focus(row.id));
    button.dataset.id = row.id;
  }
  button.dataset.verdict = row.verdict;
  button.replaceChildren(
    element("span", { class: "time", text: clock(row.time) }), " ",
    element("span", { class: "verdict", text: VERDICTS[row.verdict] ?? row.verdict }), " ",
    element("span", { class: "name", text: row.name || "no name" }), " ",
    element("span", { class: "reason", text: row.reason }), " ",
    element("span", { class: "dialect", text: DIALECTS[row.dialect] ?? row.dialect }), " ",
    element("span", { class: "pixel", text: row.pixel_id }), " ",
    element("span", { class: "conversion-id", text: row.conversion_id }));
  drawn.set(row.id, { row, item });
  return item;
}

function focus(id) {
  if (focusedId !== null) drawn.get(focusedId)?.item.firstElementChild.setAttribute("tabindex", "-1");
  focusedId = id;
  drawn.get(id)?.item.firstElementChild.setAttribute("tabindex", "0");
}

function move(event) {
  const items = [...byId("list").children];
  const at = items.findIndex((item) => item.contains(document.activeElement));
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  items[Math.min(Math.max(to, 0), items.length - 1)].firstElementChild.focus();
}

function drawPixels() {
  const select = byId("pixel");
  const known = new Set([...select.options].map((option) => option.value));
  for (const pixel of new Set([...rows.values()].map((row) => row.pixel_id))) {
    if (pixel && !known.has(pixel)) select.append(element("option", { value: pixel, text: pixel }));
  }
}

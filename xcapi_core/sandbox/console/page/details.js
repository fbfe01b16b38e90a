// Everything about one event: the message, the conversion, each request with X's answer, and what to do.

import { byId, copy, element } from "./dom.js";
import { focusRow, select } from "./list.js";
import { DIALECTS, VERDICTS } from "./words.js";

let openId = null;
let revealed = false;

export const isOpen = (id) => openId === id;

// On a narrow screen the details cover the page.
const covers = window.matchMedia("(max-width: 60rem)");
const fit = () => { byId("page").querySelector(".bar").inert = covers.matches && openId !== null; };

export function wireDetails() {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && openId !== null) close();
  });
  covers.addEventListener("change", () => { fit(); inertRest(); });
}

export async function openDetails(id) {
  revealed = false;
  openId = id;
  select(id);
  await refresh();
  byId("details-title")?.focus();
}

export async function refresh() {
  const id = openId;
  if (id === null) return;
  const answer = await fetch(`/console/events/${id}${revealed ? "?reveal=1" : ""}`);
  if (openId !== id) return;
  if (!answer.ok) { close(); return; }
  show(await answer.json());
}

export function close() {
  const id = openId;
  openId = null;
  byId("details").hidden = true;
  byId("details").replaceChildren();
  select(null);
  fit();
  inertRest();
  if (id !== null) focusRow(id);
}

function inertRest() {
  const covered = covers.matches && openId !== null;
  for (const part of document.querySelectorAll(".summary, .faults, .tools, .events")) part.inert = covered;
}

function show(event) {
  const panel = byId("details");
  const focused = panel.contains(document.activeElement) ? document.activeElement.id : "";
  const reveal = element("button", { type: "button", id: "reveal", "aria-pressed": String(revealed), text: revealed ? "Mask identifiers" : "Reveal identifiers" });
  reveal.addEventListener("click", () => { revealed = !revealed; refresh(); });
  const copying = element("button", { type: "button", id: "copy-event", text: "Copy as JSON" });
  copying.addEventListener("click", () => copy(event, copying));
  const closing = element("button", { type: "button", id: "close", text: "Close" });
  closing.addEventListener("click", close);

  panel.replaceChildren(
    element("div", { class: "details-head" },
      element("h2", { id: "details-title", tabIndex: -1, text: event.name || "no name" }),
      element("span", { class: "verdict", data: { verdict: event.verdict }, text: VERDICTS[event.verdict] ?? event.verdict })),
    facts(event),
    element("div", { class: "buttons" }, reveal, copying, closing),
    ...whatToDo(event),
    ...xsWords(event),
    ...block("Message as it came", event.message),
    ...block("Conversion", event.conversion && JSON.stringify(event.conversion, null, 2)),
    ...notes("Left out of the conversion", event.dropped),
    ...notes("Nothing reads these fields", event.unread),
    ...notes("X accepts this, but", event.warnings),
    ...event.exchanges.flatMap((exchange, index) => request(exchange, index, event.exchanges.length)));
  panel.hidden = false;
  fit();
  inertRest();
  if (focused) byId(focused)?.focus();
}

function facts(event) {
  const shown = [
    ["Time", new Date(event.time).toLocaleString()],
    ["Pixel", event.pixel_id],
    ["Dialect", DIALECTS[event.dialect] ?? event.dialect],
    ["Conversion id", event.conversion_id],
    ["Reason", event.reason],
    ["In words", event.problems.length ? "" : event.detail],
  ].filter(([, text]) => text);
  return element("dl", { class: "facts" }, ...shown.map(([name, text]) =>
    element("div", {}, element("dt", { text: name }), element("dd", { text }))));
}

function whatToDo(event) {
  if (!event.advice.length) return [];
  return [element("div", { class: "advice" },
    element("h3", { text: "What to do" }),
    element("ul", {}, ...event.advice.map((text) => element("li", { text }))))];
}

function xsWords(event) {
  if (!event.problems.length) return [];
  return [
    element("h3", { text: "X's words about it" }),
    element("ul", { class: "problems" }, ...event.problems.map((problem) => element("li", {},
      element("code", { text: problem.code }), " ",
      element("span", { text: problem.message }), " ",
      ...(problem.parameter ? [element("span", { class: "muted", text: `(${problem.parameter})` })] : [])))),
  ];
}

function block(title, text) {
  return text ? [element("h3", { text: title }), element("pre", { text })] : [];
}

function notes(title, lines) {
  return lines.length ? [element("h3", { text: title }), element("ul", {}, ...lines.map((text) => element("li", { text })))] : [];
}

function request(exchange, index, of) {
  const headers = (all) => Object.entries(all).map(([name, value]) => `${name}: ${value}`).join("\n");
  const remarks = [exchange.place, exchange.auth === "-" ? "" : exchange.auth, exchange.hint, exchange.fault && `injected: ${exchange.fault}`];
  const answer = exchange.status
    ? `HTTP/1.1 ${exchange.status}\n${headers(exchange.answer_headers)}\n\n${exchange.answer}`
    : "The connection was closed without an answer.";
  const number = of > 1 ? ` ${index + 1} of ${of}` : "";
  return [
    element("h3", { text: `Request${number}` }),
    element("p", { class: "muted", text: remarks.filter(Boolean).join(" · ") }),
    element("pre", { text: `${exchange.request}\n${headers(exchange.headers)}` }),
    element("h3", { text: `X's answer${number}, after ${Math.round(exchange.duration_ms)} ms` }),
    element("pre", { text: answer }),
  ];
}

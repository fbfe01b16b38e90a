// The summary on top: where events ended and why, and what X can match them by.

import { byId, element } from "./dom.js";
import { MATCH_KEYS, VERDICTS } from "./words.js";

const REASONS_SHOWN = 4;
// What is always there, by what serves the page; the rest appears when it happens.
const STANDING = {
  sandbox: ["delivered", "refused", "deferred"],
  dev: ["delivered", "dead_lettered", "skipped", "deferred"],
};

export function showSummary(totals, mode) {
  const standing = STANDING[mode] ?? STANDING.sandbox;
  const verdicts = Object.keys(VERDICTS).filter((name) => standing.includes(name) || totals.verdicts[name]);
  byId("ends").replaceChildren(...verdicts.map((name) => end(name, totals)));
  showKeys(totals);
  const missed = totals.missed_requests;
  byId("missed").textContent = missed ? `Without ${missed.toLocaleString()} requests from before anybody looked.` : "";
}

function end(verdict, totals) {
  const count = totals.verdicts[verdict] ?? 0;
  const reasons = Object.entries(totals.reasons[verdict] ?? {}).sort((one, other) => other[1] - one[1]);
  const lines = reasons.slice(0, REASONS_SHOWN).map(([reason, times]) =>
    element("li", {}, element("span", { text: reason }), " ", element("b", { text: times.toLocaleString() })));
  if (reasons.length > REASONS_SHOWN) lines.push(element("li", { text: `and ${reasons.length - REASONS_SHOWN} more` }));
  const share = element("div", { class: "share" }, element("i"));
  share.firstChild.style.width = `${totals.events ? (100 * count) / totals.events : 0}%`;
  return element("li", { class: "end", data: { verdict } },
    element("span", { class: "label", text: VERDICTS[verdict] }),
    element("strong", { text: count.toLocaleString() }),
    share,
    ...(lines.length ? [element("ul", { class: "reasons" }, ...lines)] : []));
}

function showKeys(totals) {
  const all = totals.conversions;
  byId("keys-of").textContent = all ? `of ${all.toLocaleString()} conversion${all === 1 ? "" : "s"}` : "of no conversion yet";
  const rows = Object.entries(MATCH_KEYS).map(([key, label]) => {
    const percent = all ? Math.round((100 * (totals.match_keys[key] ?? 0)) / all) : 0;
    const bar = element("span", { class: "meter", "aria-hidden": "true" }, element("i"));
    bar.firstChild.style.width = `${percent}%`;
    return element("div", {}, element("dt", { text: label }), element("dd", {}, bar, element("b", { text: `${percent} %` })));
  });
  byId("keys").replaceChildren(...rows);
}

// Switches for the sandbox's faults. The sandbox's list is the truth; faults set elsewhere are kept and named.

import { announce, byId } from "./dom.js";

const number = (id) => Math.max(1, Number(byId(id).value) || 1);
const only = (fault, ...names) => Object.keys(fault).sort().join() === names.sort().join();

const SWITCHES = [
  {
    id: "fault-429", input: "fault-429-s",
    fault: () => ({ status: 429, reset_in_s: number("fault-429-s") }),
    found: (fault) => fault.status === 429 && only(fault, "status", "reset_in_s") && fault.reset_in_s,
  },
  {
    id: "fault-503",
    fault: () => ({ status: 503 }),
    found: (fault) => fault.status === 503 && only(fault, "status"),
  },
  {
    id: "fault-timeout", input: "fault-timeout-s",
    fault: () => ({ latency_s: number("fault-timeout-s") }),
    found: (fault) => only(fault, "latency_s") && fault.latency_s,
  },
  {
    id: "fault-drop",
    fault: () => ({ drop: "before" }),
    found: (fault) => fault.drop === "before" && only(fault, "drop"),
  },
  {
    id: "fault-refuse", input: "fault-refuse-n",
    fault: () => ({ refuse: { all: true }, rate: 1 / number("fault-refuse-n") }),
    found: (fault) => fault.refuse?.all === true && only(fault, "refuse", "rate") && Math.round(1 / fault.rate),
  },
];

const SETTLING_MS = 500;

let others = [];
let latest = [];
let settling = null; // since a switch was moved: the stream may still tell of before

export function showFaults(list) {
  latest = list;
  if (settling === null) draw();
}

function draw() {
  const inForce = latest.filter((fault) => fault.active).map(({ fired, active, ...fault }) => fault);
  others = inForce.filter((fault) => !SWITCHES.some(({ found }) => found(fault)));
  for (const { id, input, found } of SWITCHES) {
    const value = inForce.map(found).find(Boolean);
    byId(id).checked = Boolean(value);
    if (value && input && document.activeElement !== byId(input)) byId(input).value = value;
  }
  byId("misbehaving").hidden = inForce.length === 0;
  byId("other-faults").textContent = others.length
    ? `Also in force, set by a request to /sandbox/faults: ${others.map((fault) => JSON.stringify(fault)).join(", ")}`
    : "";
}

export function wireFaults() {
  for (const { id, input } of SWITCHES) {
    byId(id).addEventListener("change", put);
    if (input) byId(input).addEventListener("change", () => byId(id).checked && put());
  }
}

async function put() {
  const wanted = SWITCHES.filter(({ id }) => byId(id).checked).map(({ fault }) => fault());
  clearTimeout(settling);
  settling = setTimeout(() => { settling = null; draw(); }, SETTLING_MS);
  const answer = await fetch("/sandbox/faults", { method: "PUT", body: JSON.stringify([...others, ...wanted]) });
  announce(answer.ok ? `${wanted.length} of X's faults switched on` : "The sandbox refused these faults");
}

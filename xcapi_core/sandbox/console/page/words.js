// The console's words for verdicts and match keys, and the order in which they are shown.

export const VERDICTS = {
  delivered: "Delivered",
  dead_lettered: "Dead-lettered",
  refused: "Refused",
  deferred: "Deferred",
  skipped: "Skipped",
  waiting: "On its way",
};

export const MATCH_KEYS = {
  twclid: "Click id",
  hashed_email: "E-mail",
  hashed_phone_number: "Phone",
  ip_address: "IP address",
  user_agent: "User agent",
};

export const DIALECTS = { x: "X", ga4: "GA4", segment: "Segment" };

export function clock(time) {
  const date = new Date(time);
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

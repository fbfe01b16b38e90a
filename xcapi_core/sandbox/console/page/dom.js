// Elements from data. Text goes in as text, everywhere: nothing of an event is ever parsed as HTML.

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "text") made.textContent = value;
    else if (name === "class") made.className = value;
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

let quietUntil = 0;
let pending = null;

// For screen readers: at most one announcement in three seconds, the last one wins.
export function announce(text) {
  clearTimeout(pending);
  pending = setTimeout(() => {
    quietUntil = Date.now() + 3000;
    byId("status").textContent = text;
  }, Math.max(100, quietUntil - Date.now()));
}

export async function copy(value, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(JSON.stringify(value, null, 2));
    button.textContent = "Copied";
    announce("Copied");
  } catch {
    button.textContent = "Copying was refused";
    announce("The browser refused to copy");
  }
  setTimeout(() => { button.textContent = before; }, 1500);
}

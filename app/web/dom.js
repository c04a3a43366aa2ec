// Makes elements of text, never of markup: whatever a title holds, it is shown as it is spelled.

import { legible } from "./wording.js";

export const element = (id) => document.getElementById(id);

// An element with attributes, listeners (`onclick`) and children; what is null is left out.
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child ?? false)
    .map((child) => (typeof child === "string" ? legible(child) : child)));
  return made;
}

// Words in which what stands between backticks is a command.
export const worded = (text) => text.split("`")
  .map((part, place) => (place % 2 ? make("code", {}, part) : part));

// A choice of one among several, as radio buttons that look like one control.
export function choice(legend, options, chosen, onchoose) {
  const name = `choice-${++choices}`;
  return make("fieldset", { class: "choice" }, make("legend", { class: "unseen" }, legend),
    Object.entries(options).map(([value, label]) => make("label", {},
      make("input", {
        type: "radio", name, value, checked: value === chosen, onchange: () => onchoose(value),
      }),
      make("span", {}, label))));
}

let choices = 0;

export function select(id, label, options, chosen, onchange) {
  const list = make("select", { id, onchange: () => onchange?.(list.value) },
    Object.entries(options).map(([value, text]) => make("option", { value }, text)));
  list.value = chosen;
  return make("div", { class: "field" }, make("label", { for: id }, label), list);
}

// Terms and what they are, in two columns.
export function record(rows) {
  return make("dl", {}, Object.entries(rows).filter(([, value]) => value ?? false)
    .flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]));
}

// Says something in passing; the words go away by themselves.
export function say(words) {
  const toast = element("toast");
  toast.textContent = words;
  clearTimeout(quiet);
  quiet = setTimeout(() => { toast.textContent = ""; }, 4000);
}

let quiet = 0;

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // plain http on another machine has no clipboard
    const field = make("textarea", { readonly: true, class: "unseen" });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  say(`${what} copied`);
}

export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// A modal dialogue that is gone once it is closed.
export function dialog(title, ...children) {
  const id = `dialog-${++choices}`;
  const made = make("dialog", { "aria-labelledby": id, onclose: () => made.remove() },
    make("div", { class: "title" }, make("h2", { id }, title),
      make("button", { type: "button", class: "plain close", "aria-label": "Close",
        onclick: () => made.close() }, "×")),
    ...children);
  document.body.append(made);
  made.showModal();
  return made;
}

// The view that asks where images came from: takes them in, asks for each, shows sheet and answer.

import { answerOf, parameters, problemIn } from "./answer.js";
import { call, problemOf } from "./api.js";
import { element, make } from "./dom.js";
import { each, plain } from "./files.js";
import { drop, forget, keep, keepFile, restore } from "./kept.js";
import { offerQuestion, question } from "./question.js";
import { sheetOf } from "./sheet.js";
import { plural } from "./wording.js";

const MOST = 200; // images at hand; a job takes thousands
const ABREAST = 4;
const REDRAWN = 100; // milliseconds

const items = [];
const pictures = new Map(); // item -> the address of its picture
let open = null; // the item whose answer is shown
let drawn = []; // and which answer of it
let running = false;
let told = ""; // what the notice says
let halted = false; // no key was given: nothing is asked until somebody says so

const sheet = sheetOf(items, {
  picture: (item) => (image) => picture(item, image),
  forget: forgetAll,
  again,
});

export function startAttribute() {
  element("sheet").append(sheet.whole);
  element("ask").addEventListener("submit", (event) => event.preventDefault());
  element("file").addEventListener("change", takeChosen);
  element("file").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return; // the space bar alone opens the chooser by itself
    event.preventDefault();
    event.target.click();
  });
  offerQuestion();
  const ready = restore().then((kept) => {
    items.push(...kept.filter((item) => !items.some(({ id }) => id === item.id)));
    items.sort((one, other) => one.id - other.id);
    show(shownId());
    run();
  });
  takeChosen(); // who was quicker than this script
  return ready;
}

const shownId = () => /^#\/attribute\/(\d+)$/.exec(location.hash)?.[1] ?? null;

function takeChosen() {
  const chosen = element("file");
  if (!chosen.files.length) return;
  take([...chosen.files]);
  chosen.value = ""; // else choosing the same file again would be no change
}

// Asks about files, as long as there is room for them.
export function take(files) {
  const room = MOST - items.length;
  const taken = plain(files).slice(0, Math.max(0, room));
  if (!files.length) return tell("That was not a file. Save the image first, then choose or drop it.");
  tell(taken.length < files.length
    ? `${plural(taken.length, "image")} of ${files.length} taken: this view holds ${MOST}. `
      + "A job, under Jobs, takes thousands." : "");
  const asked = question();
  let id = Math.max(Date.now(), ...items.map((item) => item.id)); // what is kept may not be here yet
  const added = taken.map((file) => ({
    id: ++id, at: Date.now(), name: file.name, size: file.size, file, question: asked,
    state: "waiting",
  }));
  items.push(...added);
  added.forEach(keepFile);
  added.forEach(keep);
  halted = false;
  if (added.length === 1 && location.hash !== `#/attribute/${id}`) location.hash = `#/attribute/${id}`;
  else refresh();
  run();
}

async function run() {
  if (running) return;
  running = true;
  for (;;) {
    const waiting = halted ? [] : items.filter((item) => item.state === "waiting");
    if (!waiting.length) break;
    await each(waiting, ABREAST, answer);
  }
  running = false;
  refresh();
}

async function answer(item) {
  if (halted || item.state !== "waiting" || !items.includes(item)) return;
  item.state = "asking";
  refresh();
  const body = new FormData();
  body.append("file", item.file, item.name);
  const { question: mine } = item;
  try {
    const asked = parameters(item);
    const found = await call(`/v1/attributions${asked ? `?${asked}` : ""}`, {
      method: "POST",
      body,
      waiting: (seconds) => tell(told, `The service is busy; it is asked again in ${
        plural(seconds, "second")}.`),
    });
    if (item.question !== mine) return; // another has been asked since, and waits for its turn
    item.answer = found;
    item.state = found.decision ?? "undecided";
  } catch (error) {
    const problem = problemOf(error);
    if (error.status === 401) {
      halted = true;
      item.state = "waiting";
      tell("Without a key nothing is compared.");
    } else if (item.question === mine) Object.assign(item, { problem, state: "problem" });
  }
  if (items.includes(item)) keep(item);
  if (items.every(({ state }) => state !== "asking")) tell(told);
  refresh();
}

// Asks once more: about all that has a problem, or about one as the options are now.
function again(these) {
  halted = false;
  for (const item of these) Object.assign(item, { state: "waiting", question: question() });
  tell("");
  run();
}

async function forgetAll() {
  items.splice(0);
  pictures.forEach((url) => URL.revokeObjectURL(url));
  pictures.clear();
  tell("");
  location.hash = "#/attribute";
  refresh();
  await forget();
}

function forgetOne(item) {
  if (!items.includes(item)) return; // clicked twice
  items.splice(items.indexOf(item), 1);
  URL.revokeObjectURL(pictures.get(item));
  pictures.delete(item);
  drop(item);
  location.hash = "#/attribute";
}

function picture(item, image) {
  if (!pictures.has(item)) pictures.set(item, URL.createObjectURL(item.file));
  image.addEventListener("error", () => image.classList.add("missing"), { once: true });
  image.src = pictures.get(item);
}

// Says what holds until something else is done; `busy` what passes by itself.
function tell(words, busy = "") {
  told = words;
  element("notice").textContent = [words, busy].filter(Boolean).join(" ");
  element("notice").hidden = !words && !busy;
}

// Puts an item's answer beside the sheet, by its id.
export function show(id) {
  open = items.find((item) => String(item.id) === id) ?? null;
  drawn = [];
  refresh();
  if (open === null) sheet.focus();
}

let due = 0;
let last = 0;

// Draws what has changed, ten times a second at most: two hundred answers come faster.
function refresh() {
  if (due) return;
  due = setTimeout(() => {
    due = 0;
    last = performance.now();
    element("attribute").classList.toggle("asked", items.length > 0);
    element("attribute").classList.toggle("reading", open !== null);
    element("work").hidden = !items.length;
    element("work").classList.toggle("opened", open !== null);
    sheet.refresh({ open, halted });
    drawDetail();
  }, Math.max(0, last + REDRAWN - performance.now()));
}

function drawDetail() {
  const detail = element("detail");
  detail.hidden = open === null;
  const wanted = [open, open?.state, open?.answer];
  if (wanted.every((each, place) => each === drawn[place])) return;
  drawn = wanted;
  if (!open) return detail.replaceChildren();
  detail.replaceChildren(navigation(open), ...body(open));
  if (open.state !== "waiting" && open.state !== "asking") {
    detail.querySelector(".decision")?.focus({ preventScroll: true });
    detail.scrollTop = 0;
  }
}

function body(item) {
  if (item.state === "problem") return [problemIn(item), retry(item)];
  if (!item.answer || item.state === "waiting" || item.state === "asking") {
    const image = make("img", { alt: `Your image ${item.name}`, class: "alone" });
    picture(item, image);
    return [make("p", { class: "comparing", role: "status" },
      halted ? "Not compared yet." : "Comparing…"), image, ...(halted ? [retry(item)] : [])];
  }
  return answerOf(item, { picture: (image) => picture(item, image), keep: () => items.includes(item) && keep(item) });
}

const retry = (item) =>
  make("button", { type: "button", onclick: () => again([item]) }, "Try again");

function navigation(item) {
  const shown = sheet.shown();
  const place = shown.indexOf(item);
  const to = (other, words, label) => make("a", {
    class: "step", href: other ? `#/attribute/${other.id}` : null, "aria-label": label,
    "aria-disabled": other ? null : "true",
  }, words);
  return make("div", { class: "path" },
    make("a", { href: "#/attribute", class: "back" }, "All images"),
    make("span", { class: "file" }, item.name),
    shown.length > 1 ? [to(shown[place - 1], "‹", "Image before"),
      to(shown[place + 1], "›", "Next image")] : null,
    make("button", { type: "button", class: "plain", onclick: () => again([item]) }, "Ask again"),
    make("button", { type: "button", class: "plain", onclick: () => forgetOne(item) }, "Forget"));
}

// Letters are heard where the focus is among the answers, so that they get in nobody's way elsewhere.
document.addEventListener("keydown", (event) => {
  if (!open || event.target.closest("input, select, textarea, dialog")) return;
  if (event.key === "Escape") location.hash = "#/attribute";
  const step = element("work").contains(event.target)
    && { j: "Next image", k: "Image before" }[event.key];
  if (step && !event.ctrlKey && !event.metaKey && !event.altKey) {
    element("detail").querySelector(`.step[aria-label="${step}"][href]`)?.click();
  }
});

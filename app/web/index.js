// Takes an image in, asks the service about it, and shows the answer or what went wrong.

import { showAnswer } from "./answer.js";
import { ask as send, askForKey, draw, forgetPictures } from "./key.js";

const element = (id) => document.getElementById(id);

let latest = 0;
let asked = null;
let preview = null;

element("ask").addEventListener("submit", (event) => event.preventDefault());
element("again").addEventListener("click", () => ask(asked));
element("where").addEventListener("change", () => askWhere());
element("chosen").addEventListener("error", (event) => { event.target.hidden = true; });

element("file").addEventListener("change", askAboutChosen);

element("file").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return; // the space bar alone opens the chooser by itself
  event.preventDefault();
  event.target.click();
});

document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) ask(event.clipboardData.files[0]);
});

// The whole page takes a drop: one beside the box would make the browser leave for the file.
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
  });
}
document.addEventListener("drop", (event) => {
  const [file] = event.dataTransfer.files;
  if (file) return ask(file);
  latest += 1; // what is still being compared is no longer what was asked last
  showProblem("That was not a file", "Save the image first, then choose or drop the saved file.");
});

function askAboutChosen() {
  const chosen = element("file");
  ask(chosen.files[0]);
  chosen.value = ""; // else choosing the same file again would be no change
}

async function ask(file) {
  if (!file) return;
  const mine = ++latest; // an earlier answer that comes late must not replace a later one
  asked = file;
  showChosen(file);
  element("answer").hidden = true;
  element("problem").hidden = true;
  element("access").hidden = true;
  element("status").textContent = "Comparing…";
  element("where-status").textContent = "";
  try {
    const { response, reply } = await post(file);
    if (mine !== latest) return;
    if (response.status === 401) {
      element("status").textContent = "";
      return askForKey(reply.detail, () => ask(asked));
    }
    if (!response.ok) return showRefusal(reply, response.headers.get("Retry-After"));
    element("status").textContent = "";
    forgetPictures();
    showAnswer(reply, draw);
  } catch {
    if (mine !== latest) return;
    showProblem("No connection", "The service could not be reached. Is it still running?", {
      retry: true,
    });
  }
}

// The same question once more, with maps or without: what is shown stays until they are there.
async function askWhere() {
  const mine = ++latest;
  const say = (words) => { element("where-status").textContent = words; };
  say(element("where").checked ? "Looking closer…" : "");
  try {
    const { response, reply } = await post(asked);
    if (mine !== latest) return;
    say(response.ok ? "" : reply.title);
    if (response.ok) showAnswer(reply, draw, { again: true });
  } catch {
    if (mine === latest) say("The service could not be reached.");
  }
}

async function post(file) {
  const body = new FormData();
  body.append("file", file);
  const query = element("where").checked ? "?explain=true" : "";
  // Beside this file, wherever the service lies: a proxy may have put it under a prefix.
  const address = new URL(`../v1/attributions${query}`, import.meta.url);
  const response = await send(address, { method: "POST", body });
  return { response, reply: await response.json() };
}

function showChosen(file) {
  if (preview) URL.revokeObjectURL(preview);
  preview = URL.createObjectURL(file);
  element("chosen").src = preview;
  element("chosen").alt = "The chosen image";
  element("chosen").hidden = false;
  element("chosen-name").textContent = file.name;
  element("chosen-name").hidden = false;
  element("another").textContent = "another image";
}

function showRefusal(problem, wait) {
  // Where waiting helps, the problem's own words are about HTTP headers and the like.
  const advice = wait
    ? `The service cannot answer just now. Please try again in ${seconds(wait)}.`
    : problem.detail;
  showProblem(problem.title, advice, { retry: wait !== null, requestId: problem.request_id });
}

function showProblem(title, advice, { retry = false, requestId = null } = {}) {
  const section = element("problem");
  element("status").textContent = "";
  element("answer").hidden = true;
  section.querySelector("h2").textContent = title;
  section.querySelector(".advice").textContent = advice;
  section.querySelector(".quiet").textContent =
    "Nothing was compared." + (requestId ? ` Request ${requestId}.` : "");
  element("again").hidden = !retry;
  if (!retry) element("chosen").hidden = true; // what was refused may not draw either
  section.hidden = false;
}

function seconds(wait) {
  return wait === "1" ? "a second" : `${wait} seconds`;
}

askAboutChosen(); // who was quicker than this script

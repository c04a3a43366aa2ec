// The view of jobs: thousands of images sent at once, how far they are, and what came of each.

import { call, problemOf } from "./api.js";
import { element, make, say } from "./dom.js";
import { plain } from "./files.js";
import { closeJob, openJob } from "./job.js";
import { parametersOf, question, questionFields } from "./question.js";
import { bytes, plural, when } from "./wording.js";

const LOOK = 1500; // milliseconds between two looks at jobs that go on

const told = make("p", { class: "quiet", role: "status" }, "Thousands of images, answered one after "
  + "the other while nobody else asks. They outlive this page, and the service's restart.");
const notice = make("p", { class: "notice bad", role: "alert", hidden: true });
const sending = make("div", { class: "sending", hidden: true });
const rows = make("tbody");
const list = make("table", { class: "jobs" },
  make("caption", { class: "unseen" }, "Jobs"),
  make("thead", {}, make("tr", {}, ["Sent", "State", "Progress", "Problems", ""].map((words) =>
    make("th", { scope: "col" }, words || make("span", { class: "unseen" }, "Actions"))))),
  rows);
const more = make("button", { type: "button", hidden: true, onclick: () => older() }, "Older jobs");
const holder = make("div", { class: "job" });
let jobs = [];
let cursor = null;
let timer = 0;

export function show(id) {
  if (!list.isConnected) begin();
  list.hidden = id !== null || !jobs.length;
  more.hidden = id !== null || cursor === null;
  if (id) openJob(holder, id, { cancel, purge });
  else closeJob(holder);
  look();
}

function begin() {
  const chooser = (words, attributes) => {
    const input = make("input", { type: "file", class: "unseen", tabindex: -1, ...attributes,
      onchange: () => {
        take([...input.files]);
        input.value = "";
      } });
    return [input, make("button", { type: "button", onclick: () => input.click() }, words)];
  };
  element("jobs").replaceChildren(
    make("div", { class: "headline" },
      make("div", {}, make("h1", { id: "jobs-title" }, "Jobs"), told),
      make("div", { class: "actions" },
        chooser("Choose files", { multiple: true, "aria-label": "Files of a job" }),
        chooser("Choose a folder", { webkitdirectory: true, "aria-label": "Folder of a job" }),
        chooser("Choose a zip", { accept: ".zip,application/zip", "aria-label": "Zip of a job" }))),
    questionFields("job"), notice, sending, list, make("div", { class: "more" }, more), holder);
}

// Sends files, or one zip, as a job.
export async function take(files) {
  const images = plain(files);
  if (!images.length) return say("There is no file in it.");
  const size = images.reduce((sum, file) => sum + file.size, 0);
  const progress = make("progress", { max: 1, value: 0, "aria-label": "Sent" });
  const words = make("p", { role: "status" }, images.length === 1 ? images[0].name
    : plural(images.length, "file"), `, ${bytes(size)}: sending…`);
  sending.replaceChildren(words, progress);
  sending.hidden = false;
  notice.hidden = true;
  notice.dataset.of = "sending";
  const body = new FormData();
  for (const file of images) body.append("files", file, file.webkitRelativePath || file.name);
  try {
    const job = await call(`/v1/jobs?${parametersOf(question())}`, { method: "POST", body,
      sending: (share) => { progress.value = share; } });
    location.hash = `#/jobs/${job.job_id}`;
  } catch (error) {
    const problem = problemOf(error);
    notice.textContent = `${problem.title}. ${problem.detail ?? ""}`;
    notice.hidden = false;
  }
  sending.hidden = true;
}

async function look() {
  clearTimeout(timer);
  if (element("jobs").hidden) return;
  let refused = false; // no key was given: it is not asked for again and again
  try {
    const page = await call("/v1/jobs");
    const shown = new Set(page.items.map((job) => job.job_id));
    const before = jobs.filter((job) => !shown.has(job.job_id)).filter((job) =>
      page.items.length && job.created_at < page.items.at(-1).created_at);
    if (!before.length) cursor = page.next_cursor;
    jobs = [...page.items, ...before];
    notice.hidden = notice.hidden || notice.dataset.of !== "list";
  } catch (error) {
    const problem = problemOf(error);
    notice.textContent = `${problem.title}. ${problem.detail ?? ""}`;
    notice.dataset.of = "list";
    notice.hidden = false;
    refused = error.status === 401;
  }
  draw();
  if (!refused && jobs.some((job) => job.ended_at === null)) timer = setTimeout(look, LOOK);
}

async function older() {
  more.disabled = true;
  try {
    const page = await call(`/v1/jobs?${new URLSearchParams({ cursor })}`);
    cursor = page.next_cursor;
    jobs.push(...page.items);
    draw();
  } catch (error) {
    say(problemOf(error).title);
  }
  more.disabled = false;
}

const known = new Map(); // job id -> its row, and what it shows

function draw() {
  const id = /^#\/jobs\/(.+)$/.exec(location.hash)?.[1];
  list.hidden = Boolean(id) || !jobs.length;
  more.hidden = Boolean(id) || cursor === null;
  const wanted = jobs.map((job) => {
    const state = JSON.stringify(job);
    if (known.get(job.job_id)?.state !== state) {
      const row = rowOf(job);
      known.get(job.job_id)?.row.replaceWith(row);
      known.set(job.job_id, { row, state });
    }
    return known.get(job.job_id).row;
  });
  if (wanted.length !== rows.children.length || wanted.some((row, at) => row !== rows.children[at])) {
    rows.replaceChildren(...wanted);
  }
}

function rowOf(job) {
  const bar = make("progress", { max: job.total, value: job.completed,
    "aria-label": `${job.completed} of ${job.total} answered` });
  const active = job.ended_at === null;
  return make("tr", { "data-state": job.state },
    make("td", {}, make("a", { href: `#/jobs/${job.job_id}`, class: "name" }, when(job.created_at)),
      make("span", { class: "quiet" }, ` ${plural(job.total, "image")}`)),
    make("td", {}, make("span", { class: "badge" }, job.state)),
    make("td", { class: "progress" }, bar,
      make("span", { class: "quiet number" }, `${job.completed} of ${job.total}`)),
    make("td", { class: "number" }, job.failed || ""),
    make("td", { class: "acts" }, active
      ? make("button", { type: "button", class: "plain", onclick: () => cancel(job) }, "Cancel")
      : make("button", { type: "button", class: "plain", onclick: () => purge(job) }, "Purge")));
}

async function cancel(job) {
  await done(`/v1/jobs/${job.job_id}/cancel`, "POST", "Cancelled: what is answered stays");
}

async function purge(job) {
  const ok = await done(`/v1/jobs/${job.job_id}`, "DELETE", "Purged, with its results");
  if (!ok) return;
  jobs = jobs.filter((each) => each.job_id !== job.job_id);
  location.hash = "#/jobs";
  draw();
}

async function done(path, method, words) {
  try {
    const left = (await call(path, { method }))?.remaining?.length;
    say(left ? "Ended, but images of it are not off the disk yet; that is tried again." : words);
    look();
    return true;
  } catch (error) {
    say(problemOf(error).title);
    return false;
  }
}

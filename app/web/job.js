// One job: how far it is, and a table of its results as they come.

import { ask, call, draw, problemOf } from "./api.js";
import { choice, make, record, save, say } from "./dom.js";
import { answerRows, asTable } from "./sheet.js";
import { against, named, percent, plural, significant, STATES, when } from "./wording.js";

const LOOK = 1000; // milliseconds between two looks while it goes on
const SHOWN = 500; // rows drawn before somebody asks for more
const FILTERS = { all: "All", attributed: "Source found", no_source_found: "No source",
  undecided: "Not decided", problem: "Problem" };

const COLUMNS = { Image: null, Decision: "decision", "Best source": "source",
  Share: "number share", p: "number p", q: "number p" };

let shown = null; // the job that is looked at, and when to look again

export function closeJob(holder) {
  clearTimeout(shown?.timer);
  shown = null;
  holder.replaceChildren();
}

export function openJob(holder, id, { cancel, purge }) {
  closeJob(holder);
  const view = { id, timer: 0, results: [], last: 0, filter: "all", limit: SHOWN, ended: false };
  shown = view;
  const head = make("div", { class: "verdict" });
  const filters = make("div", { class: "picks" });
  const body = make("tbody");
  const more = make("button", { type: "button", hidden: true, onclick: () => {
    view.limit += SHOWN;
    list();
  } }, "Show more");
  holder.replaceChildren(
    make("div", { class: "path" }, make("a", { href: "#/jobs", class: "back" }, "All jobs")),
    head, filters,
    make("table", { class: "sheet results" },
      make("caption", { class: "unseen" }, "Results"),
      make("thead", {}, make("tr", {}, Object.entries(COLUMNS).map(
        ([words, kind]) => make("th", { scope: "col", class: kind }, words)))),
      body),
    make("div", { class: "more" }, more));

  function list() {
    const wanted = view.results.filter((result) =>
      view.filter === "all" || result.state === view.filter);
    const rows = wanted.slice(0, view.limit).map((result) => (result.row ??= row(result)));
    const longer = [...body.children].every((one, place) => one === rows[place]);
    if (longer) body.append(...rows.slice(body.children.length)); // the focus stays where it is
    else body.replaceChildren(...rows);
    more.hidden = wanted.length <= view.limit;
    const counts = Object.fromEntries(Object.entries(FILTERS).map(([state, words]) =>
      [state, view.results.filter((each) => state === "all" || each.state === state).length])
      .filter(([state, count]) => count || state === view.filter)
      .map(([state, count]) => [state, `${FILTERS[state]} ${count}`]));
    const focused = filters.contains(document.activeElement) && document.activeElement.value;
    filters.replaceChildren(choice("Show", counts, view.filter, (value) => {
      Object.assign(view, { filter: value, limit: SHOWN });
      list();
    }));
    if (focused) filters.querySelector(`[value="${focused}"]`)?.focus();
  }

  function tell(job) {
    const active = job.ended_at === null;
    const focused = head.contains(document.activeElement) && document.activeElement.textContent;
    head.dataset.decision = active ? "attributed" : "";
    head.replaceChildren(
      make("h2", {}, active ? `${job.completed} of ${plural(job.total, "image")} answered`
        : `${job.state === "cancelled" ? "Cancelled" : "Finished"}: ${
          plural(job.completed, "image")} answered`),
      make("progress", { max: job.total, value: job.completed, "aria-label": "Images answered" }),
      record({
        Sent: when(job.created_at),
        Ended: active ? null : when(job.ended_at),
        Problems: job.failed || null,
        Collections: job.parameters.collection?.join(", ") ?? "all",
        Alpha: job.parameters.alpha,
        "Kept until": job.expires_at && when(job.expires_at),
        Id: job.job_id,
      }),
      make("div", { class: "actions" },
        make("button", { type: "button", onclick: () => save(
          asTable(view.results.flatMap((result) => result.cells)), `${id}.csv`) }, "CSV"),
        make("button", { type: "button", onclick: saveLines }, "JSON Lines"),
        active ? make("button", { type: "button", class: "danger", onclick: () => cancel(job) },
          "Cancel") : make("button", { type: "button", class: "plain", onclick: () => purge(job) },
          "Purge")));
    [...head.querySelectorAll("button")].find((each) => each.textContent === focused)?.focus();
  }

  async function saveLines() {
    try {
      const response = await ask(`/v1/jobs/${id}/results`);
      save(await response.blob(), `${id}.jsonl`);
    } catch (error) {
      say(problemOf(error).title);
    }
  }

  async function look() {
    try {
      const job = await call(`/v1/jobs/${id}`);
      // q-values are known at the end, for all.
      if (job.ended_at !== null && view.last) Object.assign(view, { results: [], last: 0 });
      if (job.completed > view.last || job.ended_at !== null) {
        const response = await ask(`/v1/jobs/${id}/results?after=${view.last}`);
        const lines = (await response.text()).split("\n").filter(Boolean);
        if (shown !== view) return;
        view.results.push(...lines.map((line) => resultOf(JSON.parse(line))));
        view.last = view.results.at(-1)?.sequence ?? 0;
      }
      if (shown !== view) return;
      tell(job);
      list();
      if (job.ended_at === null) view.timer = setTimeout(look, LOOK);
    } catch (error) {
      if (shown !== view) return;
      const problem = problemOf(error);
      head.replaceChildren(make("h2", {}, problem.title), make("p", {}, problem.detail ?? ""));
      // The job outlives a service that starts again, and so does the look at it.
      if (!(error.status < 500)) view.timer = setTimeout(look, LOOK);
    }
  }
  look();
}

// What of a line of results is shown; the rest is not kept.
function resultOf({ sequence, filename, attribution, q_value, problem }) {
  const found = attribution?.sources.filter((source) => source.attributed) ?? [];
  return {
    sequence, filename, problem, source: found[0], more: found.length - 1,
    state: problem ? "problem" : attribution.decision ?? "undecided",
    p: attribution?.p_value ?? null, alpha: attribution?.alpha, q: q_value ?? null,
    cells: answerRows(filename ?? "", attribution, problem),
  };
}

function row({ filename, state, source, more, problem, p, alpha, q }) {
  const image = source ? make("img", { alt: "", width: 32, height: 32, loading: "lazy" }) : null;
  if (source) draw(image, `${source.thumbnail_url}?size=64`);
  const number = (text) => make("td", { class: "number p" }, text);
  return make("tr", { "data-state": state },
    make("td", {}, filename ?? ""),
    make("td", { class: "decision" }, make("span", { class: "badge" }, STATES[state])),
    make("td", { class: "source" }, image, source
      ? make("a", { href: `#/sources/${source.source_id}` }, named(source)) : problem?.title,
    more > 0 ? make("span", { class: "quiet" }, ` and ${more} more`) : null),
    make("td", { class: "number share" }, source ? percent(source.share) : ""),
    number(p === null ? "" : against(p, alpha)), number(q === null ? "" : significant(q)));
}

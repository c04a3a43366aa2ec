// The sheet: a row for each image asked about, sorted and filtered; a row opens its answer.

import { draw } from "./api.js";
import { element, make, save } from "./dom.js";
import { against, named, percent, plural, STATES } from "./wording.js";

const FILTERS = {
  all: "All", attributed: "Source found", no_source_found: "No source", undecided: "Not decided",
  problem: "Problem",
};
const ORDER = ["attributed", "no_source_found", "undecided", "problem", "asking", "waiting"];
const first = (item) => item.answer?.sources.find((source) => source.attributed) ?? null;

// By column: what rows are sorted by; absent values come last either way.
const COLUMNS = {
  name: ["Image", (item) => item.name.toLowerCase()],
  decision: ["Decision", (item) => ORDER.indexOf(item.state)],
  source: ["Best source", (item) => (first(item) ? named(first(item)).toLowerCase() : null)],
  share: ["Share", (item) => first(item)?.share ?? null],
  p: ["p", (item) => item.answer?.p_value ?? null],
};

export function sheetOf(items, { picture, forget, again }) {
  const rows = new Map();
  let filter = "all";
  let sort = { by: null, down: false };
  const progress = make("progress", { "aria-label": "Images answered" });
  const told = make("p", { class: "quiet", role: "status" });
  const chips = make("fieldset", { class: "choice chips" },
    make("legend", { class: "unseen" }, "Show"),
    Object.entries(FILTERS).map(([value, words]) => make("label", { "data-state": value },
      make("input", { type: "radio", name: "sheet-filter", value, checked: value === filter,
        onchange: () => { filter = value; arrange(); } }),
      make("span", {}, words, " ", make("b", {})))));
  const body = make("tbody", { onkeydown: move });
  const heads = new Map(Object.entries(COLUMNS).map(([name, [words]]) => [name,
    make("th", { scope: "col", class: name },
      make("button", { type: "button", onclick: () => sortBy(name) }, words))]));
  const retry = make("button", { type: "button" });
  const whole = make("div", {},
    make("div", { class: "summary" }, told, progress, chips,
      make("div", { class: "actions" }, retry,
        make("button", { type: "button", onclick: () => save(asCsv(items), "answers.csv") }, "CSV"),
        make("button", { type: "button", onclick: () => save(asLines(items), "answers.jsonl") },
          "JSON Lines"),
        make("button", { type: "button", class: "plain", onclick: forget }, "Forget all"))),
    make("table", { class: "sheet" },
      make("caption", { class: "unseen" }, "Images asked about"),
      make("thead", {}, make("tr", {}, make("td", { class: "thumb" }), ...heads.values())),
      body),
    make("p", { class: "quiet" }, "Images and answers are kept in this browser, for this tab, so "
      + "that reloading loses none. Nobody else sees them."));

  const shown = () => {
    const [, value] = COLUMNS[sort.by] ?? [null, (item) => item.id];
    const compare = (one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === null || b === null) return (a === null) - (b === null);
      return (a < b ? -1 : a > b ? 1 : one.id - other.id) * (sort.down ? -1 : 1);
    };
    return items.filter((item) => filter === "all" || item.state === filter).sort(compare);
  };

  function sortBy(name) {
    sort = { by: name, down: sort.by === name && !sort.down };
    for (const [each, head] of heads) {
      head.ariaSort = each === name ? (sort.down ? "descending" : "ascending") : null;
    }
    arrange();
  }

  function arrange() {
    const wanted = shown().map((item) => rows.get(item.id).row);
    if (wanted.length === body.children.length
      && wanted.every((row, place) => row === body.children[place])) return;
    const focused = document.activeElement; // moving a row takes the focus off it
    body.replaceChildren(...wanted);
    if (focused !== document.activeElement && body.contains(focused)) {
      focused.focus({ preventScroll: true });
    }
  }

  function move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const links = [...body.querySelectorAll("a.name")];
    links[links.indexOf(event.target) + step]?.focus();
  }

  function refresh({ open, halted }) {
    for (const item of items) {
      const known = rows.get(item.id);
      if (!known) rows.set(item.id, { row: rowOf(item, picture(item)) });
      const entry = rows.get(item.id);
      if (entry.state !== item.state || entry.answer !== item.answer) fill(entry.row, item);
      Object.assign(entry, { state: item.state, answer: item.answer });
      entry.row.classList.toggle("open", item === open);
      entry.row.querySelector("a.name").ariaCurrent = item === open ? "true" : null;
    }
    const ids = new Set(items.map(({ id }) => id));
    for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
    const count = (state) => items.filter((item) => item.state === state).length;
    const left = count("waiting") + count("asking");
    progress.max = items.length || 1;
    progress.value = items.length - left;
    progress.hidden = !left;
    told.textContent = left && !halted
      ? `${items.length - left} of ${plural(items.length, "image")} answered`
      : `${plural(items.length - left, "image")} answered`;
    for (const chip of chips.querySelectorAll("label")) {
      const { state } = chip.dataset;
      const number = state === "all" ? items.length : count(state);
      chip.querySelector("b").textContent = number;
      chip.hidden = !number && state !== filter;
    }
    chips.hidden = items.length < 2;
    const these = halted ? items.filter(({ state }) => state === "waiting")
      : items.filter(({ state }) => state === "problem");
    retry.hidden = !these.length;
    retry.textContent = halted ? `Compare ${plural(these.length, "image")}`
      : `Try ${plural(these.length, "problem")} again`;
    retry.onclick = () => again(these);
    arrange();
  }

  return {
    whole, refresh, shown,
    focus: () => element("work").contains(document.activeElement)
      || body.querySelector("tr.open a.name")?.focus(),
  };
}

function rowOf(item, picture) {
  const image = make("img", { alt: "", width: 44, height: 44, decoding: "async", loading: "lazy" });
  picture(image);
  return make("tr", {},
    make("td", { class: "thumb" }, image),
    make("td", { class: "image" },
      make("a", { class: "name", href: `#/attribute/${item.id}` }, item.name)),
    make("td", { class: "decision" }), make("td", { class: "source" }),
    make("td", { class: "share number" }), make("td", { class: "p number" }));
}

function fill(row, item) {
  const source = first(item);
  const [decision, best, share, p] = ["decision", "source", "share", "p"]
    .map((name) => row.querySelector(`td.${name}`));
  row.dataset.state = item.state;
  decision.replaceChildren(make("span", { class: "badge" }, STATES[item.state] ?? "Comparing…"));
  if (item.state === "problem") best.textContent = item.problem.title;
  else if (source) {
    const image = make("img", { alt: "", width: 32, height: 32, loading: "lazy" });
    draw(image, `${source.thumbnail_url}?size=64`);
    const more = item.answer.sources.filter((each) => each.attributed).length - 1;
    best.replaceChildren(image, make("span", {}, named(source)),
      more ? make("span", { class: "quiet" }, ` and ${more} more`) : "");
  } else best.textContent = "";
  share.textContent = source ? percent(source.share) : "";
  p.textContent = (item.answer?.p_value ?? null) === null || item.state === "problem"
    ? "" : against(item.answer.p_value, item.answer.alpha);
}

// A field of a CSV file. What a spreadsheet would take for a formula is told to be text, also behind
// what some of them take for the end of a cell.
export const field = (value) => {
  const text = String(value ?? "");
  const plain = Number.isNaN(Number(text))
    ? text.replaceAll(/(^|[;,\t\r\n])(\s*)(?=[=+\-@])/g, "$1$2'") : text;
  return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
};

export const csv = (rows) => new Blob(
  ["\ufeff", ...rows.map((row) => `${row.map(field).join(",")}\r\n`)], { type: "text/csv" });

const HEAD = ["image", "decision", "p_value", "source_id", "title", "uri", "creator", "licence",
  "collection", "share", "problem", "do_not_train"];

// One row for each attributed source, or one for the image.
export function answerRows(name, answer, problem) {
  if (!answer) return [[name, "problem", "", "", "", "", "", "", "", "", problem?.title, ""]];
  const found = answer.sources.filter((source) => source.attributed);
  return (found.length ? found : [null]).map((source) => [
    name, answer.decision ?? "undecided", answer.p_value, source?.source_id, source?.title,
    source?.uri, source?.creator, source?.licence, source?.collection, source?.share, "",
    source?.opt_out ? (source.opt_out.do_not_train ? "yes" : "no") : ""]);
}

export const asTable = (rows) => csv([HEAD, ...rows]);

const ended = (items) => items.filter(({ state }) => state !== "waiting" && state !== "asking");
const asCsv = (items) => asTable(ended(items).flatMap((item) =>
  answerRows(item.name, item.state === "problem" ? null : item.answer, item.problem)));
const asLines = (items) => new Blob(ended(items).map((item) => `${JSON.stringify({
  filename: item.name,
  ...(item.state === "problem" ? { problem: item.problem } : { attribution: item.answer }),
})}\n`), { type: "application/jsonl" });

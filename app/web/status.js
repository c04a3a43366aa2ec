// The view of the service's state: what needs attention first, in words; then what there is.

import { address, call, problemOf } from "./api.js";
import { element, make, record, worded } from "./dom.js";
import { percent, plural, significant, when } from "./wording.js";

const LOOK = 10_000;
const DOUBTFUL = 0.01; // p-values of tests below this are told
const EXPECTED_RECALL = 0.95;
const UNLIKELY = 0.05; // a hundredth of images is unlike the background by chance
const FEWEST = 50; // images of which a share is told

const body = make("div", { class: "status" });
let timer = 0;

export function show() {
  if (!body.isConnected) {
    element("status").replaceChildren(
      make("div", { class: "headline" }, make("h1", { id: "status-title" }, "Status")), body);
  }
  look();
}

async function look() {
  clearTimeout(timer);
  if (element("status").hidden) return;
  try {
    const [readiness, index, collections] = await Promise.all([
      ready(), call("/v1/index"), call("/v1/collections")]);
    draw(readiness, index, collections.items);
  } catch (error) {
    const problem = problemOf(error);
    body.replaceChildren(make("p", { class: "notice bad", role: "alert" },
      `${problem.title}. ${problem.detail ?? ""}`));
    if (error.status === 401) return; // no key was given: it is not asked for again and again
  }
  timer = setTimeout(look, LOOK);
}

// That the service is not ready is the answer, and nothing to wait for as where it is busy.
async function ready() {
  const response = await fetch(address("/readyz"));
  const said = await response.json();
  return response.ok ? said : { status: "failing", detail: said.detail };
}

// What somebody should look at, the worst first, each with what to do.
export function attention({ status, detail, troubles = [] }, index) {
  const { calibration } = index;
  const { recent } = calibration;
  const active = index.encoders.find((encoder) => encoder.active);
  const found = [];
  const bad = (...words) => found.push(["bad", ...words]);
  const warn = (...words) => found.push(["warn", ...words]);
  if (status === "failing") bad("Queries are not answered.", detail);
  for (const trouble of troubles) bad(`The disk fails for ${trouble.part}.`, trouble.detail);
  if (!index.vectors) warn("Nothing is held yet.", "Add images under Sources, or run "
    + "`attribution ingest FOLDER`.");
  if (calibration.state === "missing") bad("Nothing is decided.", "The encoder has no background "
    + "images. `attribution calibrate --background FOLDER` gives it some.");
  if (calibration.state === "building") warn("Decisions wait.", "The null is catching up with "
    + "changes of the sources; ask again in a moment.");
  if (index.lag) warn(`The index is ${plural(index.lag, "change")} behind.`,
    "It should catch up within seconds.");
  if (index.recall_at_10 !== null && index.recall_at_10 < EXPECTED_RECALL) {
    warn(`The index finds ${percent(index.recall_at_10)} of the ten nearest.`,
      "Rebuild it while the service is stopped: `attribution index --rebuild --save`.");
  }
  if (active && !active.serving) warn("Another encoder is active than the one that answers.",
    `${active.name} covers ${active.embedded} of ${plural(active.sources, "source")}.`);
  if (recent?.evenness !== null && recent?.evenness < DOUBTFUL) {
    bad("The background no longer resembles what is asked.", "Even where no source is claimed, "
      + "queries match better than chance allows, so more of them may be attributed falsely than "
      + "is promised. Add background images like them: `attribution calibrate --background FOLDER`.");
  }
  if (recent?.sameness !== null && recent?.sameness < DOUBTFUL) {
    warn("What is asked has changed.", "The newer half of the last queries is unlike the older. "
      + "See whether the background still resembles them.");
  }
  if (recent?.likened >= FEWEST && recent.unlike_background > UNLIKELY * recent.likened) {
    warn(`${percent(recent.unlike_background / recent.likened)} of the last images are unlike the `
      + "background.", "Their p-values may not hold. Add background images like them: "
      + "`attribution calibrate --background FOLDER`.");
  }
  if (index.vectors && calibration.state !== "missing" && calibration.shares === "default") {
    warn("Shares are the encoder's default.", "`attribution calibrate` fits them to your sources: "
      + "a few minutes, once.");
  }
  return found.sort(([one], [other]) => (one > other) - (one < other)); // "bad" before "warn"
}

function draw(readiness, index, collections) {
  const found = attention(readiness, index);
  const { calibration, engine } = index;
  const rate = (each) => `${each.queries_per_second.toFixed(0)}/s by ${each.engine} in batches of ${
    each.batch}`;
  const number = (value) => value.toLocaleString("en");
  body.replaceChildren(
    make("section", { class: "panel attention", "aria-label": "What needs attention" },
      make("h2", {}, found.length ? "Needs attention" : "All is well"),
      found.length ? make("ul", {}, found.map(([kind, title, advice]) =>
        make("li", { "data-state": kind }, make("span", { class: "badge" },
          kind === "bad" ? "act" : "look"), make("div", {}, make("b", {}, title), " ", worded(advice ?? "")))))
        : make("p", {}, "Queries are answered and decided, and the disk can be written.")),
    make("div", { class: "panels" },
      panel("Sources", number(index.vectors), plural(collections.length, "collection"),
        make("ul", { class: "tally" }, collections.slice(0, 8).map(({ name, sources }) =>
          make("li", {}, name, make("span", { class: "number" }, number(sources)))))),
      panel("Calibration", { fresh: "Fresh", building: "Building", missing: "Missing" }[calibration.state],
        `shares ${calibration.shares === "fitted" ? `fitted ${when(calibration.shares_fitted_at)}`
          : "by default"}`,
        make("ul", { class: "tally" }, calibration.background.map(({ stratum, images, copies }) =>
          make("li", {}, `${stratum}${copies ? `, ${number(copies)} left out as copies` : ""}`,
            make("span", { class: "number" }, number(images)))))),
      panel("Index", index.recall_at_10 === null ? "Exact" : percent(index.recall_at_10),
        index.recall_at_10 === null ? "every source is compared" : "of the ten nearest are found",
        record({ Kind: index.kind, "Not merged yet": number(index.tail),
          Removed: number(index.removed), Behind: index.lag ? plural(index.lag, "change") : "nothing" })),
      panel("Encoder", index.encoders.find((each) => each.serving)?.name
        ?? index.model_id.slice(0, 8), {
        only: `run by ${engine.name}, the only engine there is`,
        set: `run by ${engine.name}, as it was set`,
        measured: `run by ${engine.name}, the faster engine here`,
      }[engine.why],
      record({ ...Object.fromEntries(index.encoders.map((each) => [each.name,
        `${each.serving ? "answers" : each.active ? "active" : "stands by"}, covers ${
          number(each.embedded)} of ${number(each.sources)}`])),
      "Model id": index.model_id, Dimension: index.dimension,
      Speed: engine.rates.map(rate).join("; ") || null }))),
    ...(calibration.recent ? [last(calibration.recent)] : []));
}

const panel = (title, figure, words, ...more) => make("section", { class: "panel" },
  make("h2", {}, title), make("p", { class: "figure" }, figure), make("p", { class: "quiet" }, words),
  ...more);

function last(recent) {
  const told = (p, good, bad) => p === null ? null
    : `${p < DOUBTFUL ? bad : good} (p = ${significant(p)})`;
  return make("section", { class: "panel" },
    make("h2", {}, recent.queries ? `The last ${plural(recent.queries, "answer")}` : "No answers yet"),
    recent.queries ? histogram(recent.p_values, recent.queries, recent.without_source)
      : make("p", { class: "quiet" }, "Once images have been asked about, their p-values are shown "
        + "here against what is promised."),
    record({
      "Without source": recent.without_source === null ? null
        : `${percent(recent.without_source)} of them, by estimate`,
      "Background": told(recent.evenness, "resembles what is asked", "does not resemble what is asked"),
      "Drift": told(recent.sameness, "none between the older and the newer half",
        "the newer half differs from the older"),
      "Unlike any": recent.likened ? `${recent.unlike_background} of ${
        plural(recent.likened, "image")} unlike every background image` : null,
      "An answer takes": recent.median_ms === null ? null
        : `${recent.median_ms.toFixed(0)} ms; one in twenty more than ${recent.p95_ms.toFixed(0)} ms`,
    }));
}

// The p-values in ten bars; the line is how high each would be if all had no source.
function histogram(counts, total, withoutSource) {
  const highest = Math.max(...counts, total / counts.length);
  const bars = counts.map((count, place) => {
    const bar = make("span", { title: `${place / 10} to ${(place + 1) / 10}: ${count}` });
    bar.style.height = `${100 * count / highest}%`;
    return bar;
  });
  const line = (share, kind) => {
    const made = make("i", { class: kind });
    made.style.bottom = `${100 * share * total / counts.length / highest}%`;
    return made;
  };
  return make("figure", { class: "histogram" },
    make("div", { class: "bars", role: "img", "aria-label": `p-values of the last ${
      plural(total, "query", "queries")} in ten bars: ${counts.join(", ")}` }, bars,
    withoutSource === null ? line(1, "even") : line(withoutSource, "even")),
    make("div", { class: "axis", "aria-hidden": "true" }, make("span", {}, "p = 0"),
      make("span", {}, "0.5"), make("span", {}, "1")),
    make("figcaption", {}, "p-values. The line is where bars of images without source end, as many "
      + "of them as there seem to be; those that have one stand at the left."));
}

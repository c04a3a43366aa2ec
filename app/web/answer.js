// One image's answer: what was decided, its sources beside it, and what can be done with it.
//
// The decision comes first. Sources that the image is not attributed to are folded away and said
// to be similar, no more: a list of names under a "no" must not read as an accusation.

import { address, ask, draw, hasKey, problemOf, Refused } from "./api.js";
import { explained, stage } from "./compare.js";
import { credentialsOf, optOutBadge } from "./credentials.js";
import { copy, make, record, save, say, worded } from "./dom.js";
import { against, MATCHES, named, percent, verdict } from "./wording.js";

const NO_BREAK = "\u00a0";
const joined = (...parts) => parts.filter(Boolean)
  .map((part) => part.replaceAll(" ", NO_BREAK)).join(" · ");

// The answer of an item; `keep` is called when it has got maps.
export function answerOf(item, { picture, keep }) {
  const { answer } = item;
  const attributed = answer.sources.filter((source) => source.attributed);
  const similar = answer.sources.filter((source) => !source.attributed);
  const { decision, meaning, caution } = verdict(answer);
  const buttons = new Map();
  const comparison = answer.sources.length ? stage(item, picture, async () => {
    await explained(item, parameters(item, { explain: true }));
    keep();
  }) : null;

  function show(source) {
    comparison.show(source);
    for (const [id, button] of buttons) button.ariaPressed = String(id === source.source_id);
    comparison.whole.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
  const listed = (sources) => make("ol", { class: "found" }, sources.map((source) => {
    const { row, button } = sourceRow(source, answer.alpha, () => show(source));
    buttons.set(source.source_id, button);
    return row;
  }));

  const folded = similar.length ? make("details", { class: "similar" },
    make("summary", {}, `Show ${similar.length} ${attributed.length ? "other " : ""}similar image${
      similar.length === 1 ? "" : "s"} held here`),
    make("p", { class: "quiet" }, "Listed for comparison only. Some images are always the most "
      + "similar ones; nothing says that this image came from them."),
    listed(similar)) : null;
  const found = attributed.length
    ? [make("h3", {}, attributed.length > 1 ? "Sources" : "Source"), listed(attributed)] : null;
  if (comparison) buttons.get(comparison.shown).ariaPressed = "true";
  // Before anybody asks, nothing that was not attributed is put beside the image.
  const beside = attributed.length ? comparison?.whole : null;
  if (folded && !attributed.length) folded.querySelector("p").after(comparison.whole);
  return [
    make("div", { class: "verdict", "data-decision": answer.decision ?? "undecided" },
      make("h2", { class: "decision", tabindex: -1 }, decision),
      make("div", { class: "words" }, make("p", {}, worded(meaning)),
        caution ? make("p", { class: "quiet caution" }, caution) : null),
      answer.unlike_background ? make("p", { class: "notice" }, "This image is unlike the images "
        + "that p-values rest on, so its p-value may not hold.") : null,
      answer.decision ? shares(answer, attributed) : null),
    beside ?? preview(item, picture),
    found,
    folded,
    credentialsOf(answer),
    notes(answer),
    actions(item),
    details(item),
  ].flat().filter(Boolean);
}

function preview(item, picture) {
  const image = make("img", { alt: `Your image ${item.name}`, class: "alone" });
  picture(image);
  return image;
}

// What a problem says, and what to do about it.
export function problemIn({ problem }) {
  return make("div", { class: "verdict", "data-decision": "problem" },
    make("h2", { class: "decision", tabindex: -1 }, problem.title),
    make("p", {}, problem.detail ?? ""),
    make("p", { class: "quiet" }, "Nothing was compared.",
      problem.request_id ? ` Request ${problem.request_id}.` : ""));
}

function shares(answer, attributed) {
  const shown = attributed.reduce((sum, source) => sum + source.share, 0);
  const others = Math.max(0, 1 - shown - answer.unattributed_share);
  const parts = [
    ...attributed.map((source) => ["source", source.share, named(source)]),
    ["held", others, "other images held here"],
    ["none", answer.unattributed_share, "no image held here"],
  ].filter(([, share]) => share >= 0.0005);
  return make("figure", { class: "shares" },
    make("div", { class: "bar", "aria-hidden": "true" }, parts.map(([kind, share]) => {
      const part = make("span", { class: kind });
      part.style.flexGrow = share;
      return part;
    })),
    make("figcaption", {}, "Estimated shares: ", parts.map(([kind, share, words], place) => [
      place ? ", " : "", make("span", { class: `key ${kind}` }, percent(share)), ` ${words}`,
    ]), "."));
}

function sourceRow(source, alpha, chosen) {
  const image = make("img", { alt: "", width: 72, height: 72, loading: "lazy" });
  draw(image, `${source.thumbnail_url}?size=192`);
  const button = make("button", { type: "button", class: "name", "aria-pressed": "false",
    onclick: chosen }, named(source));
  const row = make("li", { "data-rank": source.rank }, image, make("div", { class: "about" },
    button,
    make("p", { class: "quiet" }, [
      source.creator && `by ${source.creator}`,
      source.licence ? `licence: ${source.licence}` : "no licence on record",
      source.title && source.uri,
    ].filter(Boolean).join(" · ")),
    optOutBadge(source),
    source.attributed ? meter(source) : null,
    make("p", { class: "quiet numbers" }, joined(
      MATCHES[source.match],
      `rank ${source.rank}`,
      `similarity ${source.score.toFixed(2)}`,
      source.p_value === null ? null : `p = ${against(source.p_value, alpha)}`,
      source.attributed || source.p_value === null ? null : `share ${percent(source.share)}`,
      `collection ${source.collection}`)),
    source.copies.length ? copies(source) : null,
    make("a", { href: `#/sources/${source.source_id}` }, "Show in Sources")));
  return { row, button };
}

function meter(source) {
  const bar = make("meter", { min: 0, max: 1, "aria-label": `Estimated share of ${named(source)}` });
  bar.value = source.share;
  return make("div", { class: "share" }, bar, make("span", {}, percent(source.share)));
}

function copies(source) {
  return make("details", { class: "copies" },
    make("summary", {}, `held ${source.copies.length + 1} times`),
    make("ul", {}, source.copies.map((id) =>
      make("li", {}, make("a", { href: `#/sources/${id}` }, id)))));
}

function notes({ query, turned }) {
  const said = query.notes.map((note) => note.detail);
  if (turned) said.push(`It was found by turning the image ${turned}° to the right.`);
  if (!said.length) return null;
  return make("ul", { class: "notes quiet" }, said.map((each) => make("li", {}, each)));
}

// The query string that asks the same again.
export function parameters(item, more = {}) {
  const asked = new URLSearchParams();
  for (const [name, value] of [...item.question, ...Object.entries(more)]) asked.append(name, value);
  return asked.toString();
}

// A name as curl wants it: a comma or a semicolon would begin something else.
const spelt = (name) => (/[;,"\\]/.test(name) ? `"${name.replace(/[\\"]/g, "\\$&")}"` : name);
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function curl(item) {
  const asked = parameters(item);
  const url = `${address("/v1/attributions")}${asked ? `?${asked}` : ""}`;
  const key = hasKey() ? `-H "Authorization: Bearer $ATTRIBUTION_API_KEY" ` : "";
  return `curl ${key}-F ${quoted(`file=@${spelt(item.name)}`)} ${quoted(url)}`;
}

function actions(item) {
  const button = (words, onclick) => make("button", { type: "button", onclick }, words);
  return make("div", { class: "actions", role: "group", "aria-label": "Use this answer" },
    button("Copy JSON", () => copy(JSON.stringify(item.answer, null, 2), "JSON")),
    button("Copy curl", () => copy(curl(item), "Command")),
    button("Report as PDF", () => report(item, "application/pdf")),
    button("Report as page", () => report(item, "text/html")));
}

async function report(item, form) {
  say("Making the report…");
  const body = new FormData();
  body.append("file", item.file, item.name);
  try {
    const response = await ask(`/v1/attributions?${parameters(item, { explain: true })}`,
      { method: "POST", body, headers: { Accept: form } });
    const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
    save(await response.blob(), name?.[1] ?? "report");
    say("Report saved");
  } catch (error) {
    const slug = error instanceof Refused ? error.problem.type : "";
    if (slug?.endsWith("pdf-unavailable")) return report(item, "text/html");
    const problem = problemOf(error);
    say(`${problem.title}. ${problem.detail ?? ""}`);
  }
}

function details({ answer }) {
  return make("details", { class: "record" }, make("summary", {}, "Technical details"), record({
    "Image (SHA-256)": answer.query.sha256,
    "Image size": `${answer.query.width} × ${answer.query.height}, ${answer.query.format}`,
    "p-value and limit": `${answer.p_value === null ? "none" : against(answer.p_value, answer.alpha)}, `
      + `${answer.alpha}`,
    "Encoder": answer.model_id,
    "Index generation": answer.index_generation,
    "Calibration": `${answer.calibration.id ?? "none"} (${answer.calibration.state})`,
    "Request": answer.request_id,
    "Time": `${answer.timings_ms.total.toFixed(0)} ms`,
  }));
}

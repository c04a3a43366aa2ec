// One source: what is said of it, and what can be done with it.

import { ask, call, draw, problemOf } from "./api.js";
import { optOut } from "./credentials.js";
import { dialog, make, record, say } from "./dom.js";
import { remove } from "./removing.js";
import { MATCHES, named, plural, when } from "./wording.js";

const TEXTS = { title: "Title", creator: "Creator", licence: "Licence", uri: "URI" };
const NEIGHBOURS = 13;
const TWINS = 24; // of those that show the same picture, so many are looked up

let shown = null;

// Opens a source; `changed(source)` and `removed(ids)` tell the list what has happened to it.
export async function openSource(id, told) {
  shown?.close();
  const body = make("div", { class: "source" }, make("p", { role: "status" }, "…"));
  const opened = dialog("Source", body);
  shown = opened;
  opened.classList.add("wide");
  opened.addEventListener("close", () => {
    if (shown === opened) shown = null;
    if (location.hash === `#/sources/${id}`) location.hash = "#/sources";
  });
  addEventListener("hashchange", () => opened.close(), { once: true }); // the browser's own Back
  try {
    const response = await ask(`/v1/sources/${encodeURIComponent(id)}`);
    fill(body, opened, await response.json(), response.headers.get("ETag"), told);
  } catch (error) {
    const problem = problemOf(error);
    body.replaceChildren(make("p", { class: "notice bad" }, `${problem.title}. ${problem.detail ?? ""}`));
  }
}

function fill(body, opened, source, tag, told) {
  const image = make("img", { alt: `Preview of ${named(source)}` });
  draw(image, `${source.thumbnail_url}?size=512`);
  opened.querySelector("h2").textContent = named(source);
  const beside = make("div", { class: "beside", "aria-live": "polite" });
  const button = (words, onclick, danger = false) =>
    make("button", { type: "button", class: danger ? "danger" : null, onclick }, words);
  const gone = (ids) => {
    told.removed(ids);
    if (ids.includes(source.source_id)) opened.close();
  };
  body.replaceChildren(
    make("div", { class: "both" },
      make("div", { class: "ground" }, image),
      make("div", {}, about(source),
        make("div", { class: "actions" },
          button("Similar to this one", () => similar(source, beside)),
          button("Edit", () => edit(source, tag, beside, (changed, newTag) => {
            told.changed(changed);
            fill(body, opened, changed, newTag, told);
          })),
          button("Delete…", () => remove([source], { removed: gone }), true),
          button("Take down…", () => remove([source], { takedown: true, removed: gone }), true)))),
    beside);
}

function about(source) {
  const free = Object.entries(source.metadata).map(([name, value]) =>
    [name, typeof value === "string" ? value : JSON.stringify(value)]);
  // Apart from the record: a name of theirs may be one of it, such as Id or Training.
  const further = free.length
    ? [make("h3", {}, "Metadata"), record(Object.fromEntries(free))] : [];
  return make("div", {}, record({
    ...Object.fromEntries(Object.entries(TEXTS).map(([name, words]) =>
      [words, source[name] ?? "not on record"])),
    Training: optOut(source),
    Collection: source.collection,
    Added: when(source.created_at),
    Changed: source.revision > 1 ? when(source.updated_at) : null,
    Size: `${source.width} × ${source.height}, ${source.format}`,
    "SHA-256": source.sha256,
    Id: source.source_id,
  }), ...further);
}

function edit(source, tag, beside, saved) {
  const field = (name) => make("div", { class: "field" },
    make("label", { for: `edit-${name}` }, TEXTS[name]),
    make("input", { id: `edit-${name}`, name, value: source[name] ?? "",
      maxlength: name === "uri" ? 2048 : 512 }));
  const free = make("textarea", { id: "edit-metadata", rows: 5, spellcheck: "false" });
  free.value = JSON.stringify(source.metadata, null, 2);
  const wrong = make("p", { class: "notice bad", role: "alert", hidden: true });
  const form = make("form", { class: "edit", onsubmit: async (event) => {
    event.preventDefault();
    try {
      const wanted = JSON.parse(free.value || "{}");
      if (!plain(wanted)) throw new SyntaxError("It has to be an object, in braces.");
      const patch = Object.fromEntries(Object.keys(TEXTS)
        .map((name) => [name, form.elements[name].value.trim() || null]));
      patch.metadata = merge(source.metadata, wanted);
      const response = await ask(`/v1/sources/${source.source_id}`, { method: "PATCH",
        json: patch, headers: { "Content-Type": "application/merge-patch+json", "If-Match": tag } });
      saved(await response.json(), response.headers.get("ETag"));
      say("Saved");
    } catch (error) {
      const problem = error instanceof SyntaxError
        ? { title: "Metadata is not valid JSON", detail: error.message } : problemOf(error);
      wrong.textContent = `${problem.title}. ${problem.detail ?? ""}`;
      wrong.hidden = false;
    }
  } },
  Object.keys(TEXTS).map(field),
  make("div", { class: "field whole" }, make("label", { for: "edit-metadata" },
    "Metadata (a JSON object)"), free),
  wrong,
  make("div", { class: "actions" }, make("button", { class: "primary" }, "Save"),
    make("button", { type: "button", onclick: () => beside.replaceChildren() }, "Cancel")));
  beside.replaceChildren(make("h3", {}, "Edit"), form);
  form.elements.title.focus();
}

const plain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

// The merge patch (RFC 7396) that makes `wanted` of `held`: null for what is not wanted any more.
export function merge(held, wanted) {
  const patch = Object.fromEntries(Object.keys(held).filter((name) => !(name in wanted))
    .map((name) => [name, null]));
  for (const [name, value] of Object.entries(wanted)) {
    patch[name] = plain(value) && plain(held[name]) ? merge(held[name], value) : value;
  }
  return patch;
}

async function similar(source, beside) {
  const looking = make("p", { class: "quiet" }, "Looking…");
  beside.replaceChildren(looking);
  try {
    const picture = await (await ask(`/v1/sources/${source.source_id}/thumbnail?size=512`)).blob();
    const body = new FormData();
    body.append("file", picture, "preview.jpg");
    const answer = await call(`/v1/attributions?top_k=${NEIGHBOURS}`, { method: "POST", body });
    const own = answer.sources.find((each) =>
      each.source_id === source.source_id || each.copies.includes(source.source_id));
    // What shows the picture itself: by its rows, with it in one place of the list, or by its pixels.
    const same = answer.sources.filter((each) => each === own || each.match !== null);
    const others = answer.sources.filter((each) => !same.includes(each));
    const ids = same.flatMap((each) => [each.source_id, ...each.copies])
      .filter((id) => id !== source.source_id);
    const twins = (await Promise.all(ids.slice(0, TWINS).map((id) =>
      call(`/v1/sources/${id}`).catch(() => null)))).filter(Boolean); // one may have gone meanwhile
    if (!looking.isConnected) return; // something else has been chosen meanwhile
    beside.replaceChildren(
      twins.length ? make("h3", {}, `Held ${plural(ids.length + 1, "time")}`) : "",
      twins.length ? make("ul", { class: "grid small" }, twins.map((twin) => card(twin,
        twin.sha256 === source.sha256 ? MATCHES.identical : `${MATCHES.copy}, in another file`)))
        : "",
      make("h3", {}, "Similar to this one"),
      make("p", { class: "quiet" }, "What a query with this picture would be compared with first. "
        + "Alike does not mean copied."),
      make("ul", { class: "grid small" }, others.map((each) => card(each, `similarity ${each.score.toFixed(2)}`))));
  } catch (error) {
    const problem = problemOf(error);
    if (!looking.isConnected) return;
    beside.replaceChildren(make("p", { class: "notice bad" },
      `${problem.title}. ${problem.detail ?? ""}`));
  }
}

function card(source, words) {
  const image = make("img", { alt: "", loading: "lazy" });
  draw(image, `${source.thumbnail_url}?size=192`);
  return make("li", { class: "card" }, make("a", { href: `#/sources/${source.source_id}` }, image,
    make("span", { class: "name" }, named(source)), make("span", { class: "quiet" }, words)));
}

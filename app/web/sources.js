// The view of what is held: found by text, collection, licence and date, as far down as one scrolls.

import { add } from "./adding.js";
import { call, draw, problemOf } from "./api.js";
import { optOutBadge } from "./credentials.js";
import { element, make, say, select } from "./dom.js";
import { remove } from "./removing.js";
import { openSource } from "./source.js";
import { named, plural } from "./wording.js";

const PAGE = 240;
const SHELF = 60; // cards laid out together; a multiple of any number of columns, up to six
const AHEAD = 800; // pixels below the window that are filled before they are looked at
const PATIENCE = 250; // milliseconds without a key before what is typed is looked for

const sought = { text: "", collection: "", licence: "", from: "", before: "", copies: false,
  order: "newest" };
const cards = new Map(); // source id -> its card
const selected = new Map(); // source id -> source
let cursor = null;
let run = 0; // counts the lists begun: pages of an older one are dropped
let loading = false;
let collections = [];

const grid = make("div", { class: "shelves" });
const told = make("p", { class: "quiet", role: "status" });
const notice = make("p", { class: "notice bad", role: "alert", hidden: true });
const more = make("button", { type: "button", onclick: () => page() }, "Show more");
const chosen = make("div", { class: "chosen", role: "group", "aria-label": "Chosen sources",
  hidden: true });
const licences = make("datalist", { id: "licences" });
const file = make("input", { type: "file", multiple: true, accept: "image/*", class: "unseen",
  tabindex: -1, "aria-label": "Images to add", onchange: () => take([...file.files]) });

export function show(id) {
  if (!grid.isConnected) begin();
  else follow(); // what was to be loaded while the view was hidden
  if (id) openSource(id, { changed, removed: forget });
}

export async function take(files) {
  if (!files.length) return say("That was not a file.");
  file.value = "";
  if (await add(files, collections)) reload();
}

function begin() {
  element("sources").replaceChildren(
    make("div", { class: "headline" },
      make("div", {}, make("h1", { id: "sources-title" }, "Sources"), told),
      make("div", { class: "actions" }, file,
        make("button", { type: "button", class: "primary", onclick: () => file.click() },
          "Add images"))),
    filters(), notice, chosen, grid, make("div", { class: "more" }, more));
  for (const event of ["scroll", "resize"]) addEventListener(event, follow, { passive: true });
  offerCollections();
  reload();
}

function filters() {
  let due = 0;
  const later = (name) => (event) => {
    sought[name] = event.target.type === "checkbox" ? event.target.checked : event.target.value;
    clearTimeout(due);
    due = setTimeout(reload, PATIENCE);
  };
  const field = (id, label, name, attributes = {}) => make("div", { class: `field ${name}` },
    make("label", { for: id }, label),
    make("input", { id, oninput: later(name), ...attributes }));
  return make("form", { class: "filters", role: "search", onsubmit: (event) => {
    event.preventDefault();
    reload();
  } },
  field("sought-text", "Title, creator, uri, licence or id", "text", { type: "search" }),
  select("sought-collection", "Collection", { "": "All" }, "", (value) => {
    sought.collection = value;
    reload();
  }),
  field("sought-licence", "Licence", "licence", { list: "licences" }),
  field("sought-from", "Added from", "from", { type: "date", max: "9999-12-31" }),
  field("sought-before", "to", "before", { type: "date", max: "9999-12-31" }),
  select("sought-order", "Order", { newest: "Newest first", oldest: "Oldest first" }, "newest",
    (value) => {
      sought.order = value;
      reload();
    }),
  make("label", { class: "copies" }, make("input", { type: "checkbox", oninput: later("copies") }),
    make("span", {}, "Only copies, in groups"), make("small", {}, "of the same bytes; the same picture in another "
      + "file is shown with a source, by “Similar to this one”")), licences);
}

async function offerCollections() {
  try {
    collections = (await call("/v1/collections")).items;
  } catch {
    return; // the list itself says what is wrong
  }
  const list = element("sought-collection");
  list.replaceChildren(make("option", { value: "" }, "All"), ...collections.map(({ name, sources }) =>
    make("option", { value: name }, `${name} (${sources.toLocaleString("en")})`)));
  list.value = sought.collection;
  tell();
}

function parameters() {
  const asked = new URLSearchParams({ limit: PAGE, order: sought.order });
  if (sought.text.trim()) asked.set("text", sought.text.trim());
  if (sought.collection) asked.set("collection", sought.collection);
  if (sought.licence.trim()) asked.set("licence", sought.licence.trim());
  if (sought.copies) asked.set("copies", "true");
  const day = (text, days) => {
    const date = new Date(`${text}T00:00`);
    date.setDate(date.getDate() + days);
    return date.toISOString();
  };
  if (sought.from) asked.set("created_from", day(sought.from, 0));
  if (sought.before) asked.set("created_before", day(sought.before, 1)); // that day, too
  if (cursor) asked.set("cursor", cursor);
  return asked;
}

function reload() {
  run += 1;
  cursor = null;
  loading = false;
  cards.clear();
  grid.replaceChildren();
  more.hidden = false;
  page();
}

async function page() {
  if (loading || more.hidden || element("sources").hidden) return;
  loading = true;
  const mine = run;
  try {
    const found = await call(`/v1/sources?${parameters()}`);
    if (mine !== run) return;
    notice.hidden = true;
    cursor = found.next_cursor;
    more.hidden = cursor === null;
    found.items.forEach(place);
  } catch (error) {
    if (mine !== run) return;
    const problem = problemOf(error);
    notice.textContent = `${problem.title}. ${problem.detail ?? ""}`;
    notice.hidden = false;
    told.textContent = "";
    loading = false;
    return; // whoever wants the rest asks for more
  }
  loading = false;
  tell();
  follow(); // a page may be shorter than the window
}

// Asks for the next page where the end of the list is near.
function follow() {
  if (!more.hidden && notice.hidden && more.getBoundingClientRect().top < innerHeight + AHEAD) page();
}

function tell() {
  const filtered = sought.text || sought.licence || sought.from || sought.before || sought.copies;
  const whole = collections.filter(({ name }) => !sought.collection || name === sought.collection)
    .reduce((sum, { sources }) => sum + sources, 0);
  const shown = plural(cards.size, "source");
  if (!cards.size && more.hidden) told.textContent = filtered ? "No source is like that." : "Nothing is held here yet. Drop images to add them.";
  else if (filtered) told.textContent = more.hidden ? `${shown} found` : `The first ${shown} found`;
  else told.textContent = collections.length ? `${plural(whole, "source")} held` : shown;
  const known = new Set([...licences.options].map((option) => option.value));
  for (const { source } of cards.values()) {
    if (!source.licence || known.has(source.licence) || known.size > 50) continue;
    known.add(source.licence);
    licences.append(make("option", { value: source.licence }));
  }
}

function place(source) {
  if (cards.has(source.source_id)) return;
  const card = cardOf(source);
  cards.set(source.source_id, { source, card });
  if (!sought.copies) return shelf().append(card);
  let group = grid.querySelector(`[data-digest="${source.sha256}"] ul`);
  if (!group) {
    group = make("ul", { class: "grid" });
    grid.append(make("section", { class: "group", "data-digest": source.sha256 },
      make("h2", {}, "The same bytes"), group));
  }
  group.append(card);
}

// Where the next card goes. What lies far out of view costs nothing, a shelf at a time.
function shelf() {
  const last = grid.lastElementChild;
  if (last && last.children.length < SHELF) return last;
  const made = make("ul", { class: "grid shelf" });
  grid.append(made);
  return made;
}

function cardOf(source) {
  const image = make("img", { alt: "", loading: "lazy", decoding: "async" });
  draw(image, `${source.thumbnail_url}?size=256`);
  const name = named(source);
  return make("li", { class: "card" },
    make("a", { href: `#/sources/${source.source_id}` }, image,
      make("span", { class: "name" }, name),
      make("span", { class: "quiet" }, [source.creator, source.licence].filter(Boolean).join(" · ")
        || "no creator or licence on record"),
      make("span", { class: "quiet" }, source.collection),
      source.opt_out?.do_not_train ? optOutBadge({ opt_out: { do_not_train: true } }) : null),
    make("input", { type: "checkbox", "aria-label": `Choose ${name}`,
      checked: selected.has(source.source_id), onchange: (event) => {
        if (event.target.checked) selected.set(source.source_id, source);
        else selected.delete(source.source_id);
        offerChosen();
      } }));
}

function offerChosen() {
  chosen.hidden = !selected.size;
  grid.classList.toggle("choosing", selected.size > 0);
  const button = (words, takedown) => make("button", { type: "button", class: "danger",
    onclick: () => remove([...selected.values()], { takedown, removed: forget }) }, words);
  chosen.replaceChildren(make("span", {}, `${plural(selected.size, "source")} chosen`),
    button("Delete…", false), button("Take down…", true),
    make("button", { type: "button", class: "plain", onclick: () => {
      selected.clear();
      for (const box of grid.querySelectorAll(":checked")) box.checked = false;
      offerChosen();
    } }, "Choose none"));
}

function changed(source) {
  const known = cards.get(source.source_id);
  if (!known) return;
  const card = cardOf(source);
  known.card.replaceWith(card);
  cards.set(source.source_id, { source, card });
}

function forget(ids) {
  for (const id of ids) {
    const group = cards.get(id)?.card.closest(".group");
    cards.get(id)?.card.remove();
    if (group && !group.querySelector(".card")) group.remove();
    cards.delete(id);
    selected.delete(id);
  }
  offerChosen();
  offerCollections();
}

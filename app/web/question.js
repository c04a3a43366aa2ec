// What is asked of every image: which collections, at which alpha, with which prior, which way up.

import { call, problemOf } from "./api.js";
import { element, make, select } from "./dom.js";
import { plural } from "./wording.js";

const ALPHAS = {
  "": "as the service has it", "0.05": "1 in 20", "0.01": "1 in 100", "0.005": "1 in 200",
  "0.002": "1 in 500",
};
const PRIORS = {
  "": "as it was fitted", "0.05": "5 in 100", "0.25": "25 in 100", "0.5": "half of them",
  "0.75": "75 in 100", "0.95": "95 in 100", "0.99": "99 in 100",
};
const COUNTS = { "": "10", "3": "3", "25": "25", "100": "100",
  "recall 0.9": "as few as hold a true one 9 times in 10" };
const WAYS = { "": "as they are", "true": "perhaps on a side or upside down" };

const chosen = new Map(); // parameter -> value; collections in their own set
const collections = new Set();

// As pairs of a query string, in a stable order.
export const question = () => [
  ...[...collections].sort().map((name) => ["collection", name]),
  ...[...chosen].filter(([, value]) => value).map(([name, value]) =>
    (value.startsWith("recall ") ? value.split(" ") : [name, value])),
];

export const parametersOf = (pairs) => new URLSearchParams(pairs).toString();

// The options that stand on the page, offered once somebody opens them.
export const offerQuestion = () => offerIn(element("question"), "asked");

// The same for another view; what is chosen holds for all of them.
export function questionFields(id) {
  const holder = make("details", { class: "question" },
    make("summary", {}, make("span", {}, "Options"), " ", make("span", { class: "quiet said" })),
    make("div", { class: "fields" }));
  offerIn(holder, id);
  return holder;
}

function offerIn(holder, id) {
  const offer = () => holder.open && fill(holder.querySelector(".fields"), id);
  holder.addEventListener("toggle", offer);
  tell();
}

function fill(fields, id) {
  const set = (name) => (value) => {
    chosen.set(name, value);
    tell();
  };
  const list = make("div", { class: "checks" });
  const one = (name, label, options) =>
    select(`${id}-${name}`, label, options, chosen.get(name) ?? "", set(name));
  fields.replaceChildren(
    make("fieldset", {}, make("legend", {}, "Collections to search"), list),
    one("alpha", "False attributions to accept", ALPHAS),
    one("no_source", "Your images that come from none held", PRIORS),
    one("top_k", "Sources to list", COUNTS),
    one("any_way_up", "How your images lie", WAYS));
  offerCollections(list);
}

async function offerCollections(list) {
  list.textContent = "…";
  try {
    const { items } = await call("/v1/collections");
    for (const name of collections) { // one that is gone could not be chosen off any more
      if (!items.some((each) => each.name === name)) collections.delete(name);
    }
    tell();
    list.replaceChildren(...items.map(({ name, sources }) => make("label", {},
      make("input", { type: "checkbox", name: "collection", value: name,
        checked: collections.has(name), onchange: (event) => {
        if (event.target.checked) collections.add(name);
        else collections.delete(name);
        tell();
      } }), ` ${name} `, make("span", { class: "quiet" }, plural(sources, "source")))),
    make("p", { class: "quiet" }, "None chosen: all of them."));
  } catch (error) {
    list.textContent = problemOf(error).title;
  }
}

function tell() {
  const words = [
    collections.size ? [...collections].sort().join(", ") : null,
    chosen.get("alpha") ? `alpha ${chosen.get("alpha")}` : null,
    chosen.get("no_source") ? `prior ${chosen.get("no_source")}` : null,
    chosen.get("top_k") ? `${chosen.get("top_k")} listed` : null,
    chosen.get("any_way_up") ? "any way up" : null,
  ].filter(Boolean).join(" · ");
  for (const each of document.querySelectorAll(".question .said")) each.textContent = words;
}

// What is asked of every image: which collections, at which alpha, with which prior.

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
const COUNTS = { "": "10", "3": "3", "25": "25", "100": "100" };

const chosen = new Map(); // parameter -> value; collections in their own set
const collections = new Set();

// As pairs of a query string, in a stable order.
export const question = () => [
  ...[...collections].sort().map((name) => ["collection", name]),
  ...[...chosen].filter(([, value]) => value),
];

export function offerQuestion() {
  const holder = element("question");
  let offered = false;
  holder.addEventListener("toggle", () => {
    if (!holder.open || offered) return;
    offered = true;
    offer(holder.querySelector(".fields"));
  });
}

function offer(fields) {
  const set = (name) => (value) => {
    chosen.set(name, value);
    tell();
  };
  const list = make("div", { class: "checks" });
  fields.replaceChildren(
    make("fieldset", {}, make("legend", {}, "Collections to search"), list),
    select("alpha", "False attributions to accept", ALPHAS, "", set("alpha")),
    select("prior", "Your images that come from none held", PRIORS, "", set("no_source")),
    select("count", "Sources to list", COUNTS, "", set("top_k")));
  offerCollections(list);
}

async function offerCollections(list) {
  list.textContent = "…";
  try {
    const { items } = await call("/v1/collections");
    list.replaceChildren(...items.map(({ name, sources }) => make("label", {},
      make("input", { type: "checkbox", name: "collection", value: name, onchange: (event) => {
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
  element("question-said").textContent = [
    collections.size ? [...collections].sort().join(", ") : null,
    chosen.get("alpha") ? `alpha ${chosen.get("alpha")}` : null,
    chosen.get("no_source") ? `prior ${chosen.get("no_source")}` : null,
    chosen.get("top_k") ? `${chosen.get("top_k")} listed` : null,
  ].filter(Boolean).join(" · ");
}

// What others say: the content credentials of an image, and what a source's owner allows.
//
// Statements, not measurements. They stand apart from decision and shares, under a heading of their
// own, and every text in them is foreign.

import { make, record } from "./dom.js";
import { named, plural } from "./wording.js";

const STATES = {
  trusted: "Unchanged since it was signed, by a certificate of the trust list.",
  valid: "Unchanged since it was signed, but by a certificate of no trust list: anybody may have "
    + "signed it.",
  invalid: "Changed since it was signed, or not signed as it should be: it proves nothing.",
  unreadable: "The image has content credentials, but they are damaged.",
  "not-read": "The image has content credentials, which this service cannot read. Whoever runs it "
    + "adds that by the extra c2pa.",
};
const KINDS = {
  trainedAlgorithmicMedia: "made by a generative model",
  compositeWithTrainedAlgorithmicMedia: "a composite, with parts made by a generative model",
  algorithmicMedia: "made by a program that was not trained",
  digitalCapture: "taken by a digital camera",
  computationalCapture: "taken by a digital camera, by several exposures",
  humanEdits: "edited by a person",
};
const RELATIONS = {
  parentOf: "it is an edit of this", componentOf: "it contains this",
  inputTo: "this was given to what made it",
};
const BY = {
  bytes: "the very file lies in the credentials",
  identifier: "its identifier is the URI of the source",
  picture: "the thumbnail in the credentials shows this picture",
};

// A section of an answer; null where the image says nothing.
export function credentialsOf({ credentials: said, decision }) {
  if (!said) return null;
  const held = said.ingredients.some((each) => each.held.length);
  return make("section", { class: "statement", "aria-label": "What the image says of itself" },
    make("h3", {}, "What the image says of itself"),
    make("p", { class: "quiet" }, "Content credentials (C2PA): a statement by whoever signed the "
      + "file, and no measurement. Nothing above rests on it."),
    make("p", { class: said.state === "trusted" ? "" : "doubt" }, STATES[said.state] ?? said.state),
    record({
      "Made by": said.generator,
      "Signed by": said.signer,
      Kind: KINDS[said.digital_source_type] ?? said.digital_source_type,
      Wrong: said.problems.join(", ") || null,
    }),
    said.ingredients.length ? make("h4", {}, "Said to be made of") : null,
    make("ul", { class: "ingredients" }, said.ingredients.map(ingredient),
      said.more_ingredients ? make("li", { class: "quiet" },
        `and ${plural(said.more_ingredients, "more ingredient")}`) : null),
    held && decision !== "attributed" ? make("p", { class: "quiet" }, "The comparison above did "
      + "not find what is held of these. Each answers a question of its own.") : null);
}

function ingredient({ title, relationship, held }) {
  return make("li", {}, make("b", {}, title ?? "without a name"),
    relationship ? make("span", { class: "quiet" },
      ` ${RELATIONS[relationship] ?? relationship}`) : null,
    held.length ? held.map((source) => make("div", {},
      make("span", { class: "badge" }, "held here"), " ",
      make("a", { href: `#/sources/${source.source_id}` }, named(source)),
      make("span", { class: "quiet" }, `: ${BY[source.by] ?? source.by}`)))
      : make("div", { class: "quiet" }, "not known to be held here"));
}

// What the owner of a source says about training; null where nothing is on record.
export function optOut({ opt_out: said }) {
  if (!said) return null;
  const term = said.data_mining?.replace(/^.*\//, "");
  return (said.do_not_train ? "May not be trained on" : "Training is not forbidden")
    + (term ? ` (${term})` : "");
}

export const optOutBadge = (source) => source.opt_out
  ? make("span", { class: source.opt_out.do_not_train ? "badge warn" : "badge" }, optOut(source)) : null;

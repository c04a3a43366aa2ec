// Says an answer of the service in words for people; knows nothing of how it was asked.
//
// The decision comes first. Sources that the image is not attributed to are folded away and said
// to be similar, no more: a list of names under a "no" must not read as an accusation.

import { drawMaps } from "./where.js";

const NO_BREAK = "\u00a0";
const element = (id) => document.getElementById(id);
const MATCHES = { identical: "the very same file", copy: "the same picture" };
const named = (source) => source.title || source.uri || source.source_id;

// `draw` puts the picture at an address into an image element.
export function showAnswer(answer, draw, { again = false } = {}) {
  const attributed = answer.sources.filter((source) => source.attributed);
  const similar = answer.sources.filter((source) => !source.attributed);
  const { decision, meaning, caution } = inWords(answer, attributed);
  element("where-choice").hidden = !answer.sources.length;
  element("answer").dataset.decision = answer.decision ?? "undecided";
  element("decision").textContent = decision;
  element("meaning").textContent = meaning;
  element("caution").textContent = caution;
  element("attributed").replaceChildren(...attributed.map((source) => sourceItem(source, draw)));
  element("shares").textContent = attributed.length ? remainder(answer, attributed) : "";
  showSimilar(similar, draw, {
    besides: attributed.length > 0,
    open: again && element("similar").open,
  });
  showRecord(answer);
  drawMaps(answer);
  element("answer").hidden = false;
  if (!again) element("decision").focus();
}

function inWords(answer, attributed) {
  if (!answer.sources.length) {
    return {
      decision: "Nothing to compare with",
      meaning: "No image is held here yet.",
      caution: "",
    };
  }
  if (answer.reason === "no-content") {
    return {
      decision: "Nothing to compare",
      meaning: "This image is of one colour, or nearly. No source is claimed for it.",
      caution: "",
    };
  }
  if (answer.decision === null) {
    return {
      decision: "Compared, but not decided",
      meaning: "This service has no background images, which tell how well an image matches by "
        + "chance. So it lists the most similar images and claims no source. Whoever runs it gives it "
        + "some by `attribution calibrate --background FOLDER`.",
      caution: "",
    };
  }
  const chance = `Of comparable images that have no source here, about ${odds(answer.p_value)} `
    + "would match something as well as this one does";
  if (answer.decision === "attributed") {
    return {
      decision: attributed.length > 1 ? `${attributed.length} sources found` : "Source found",
      meaning: `This image matches what is shown below better than chance explains. ${chance}; `
        + `a source is named at ${odds(answer.alpha)} or fewer.`,
      caution: "This is statistical evidence. It is neither a proof of copying nor the "
        + "probability that the right source is named.",
    };
  }
  return {
    decision: "No source found",
    meaning: "No image held here matches this one better than chance explains. "
      + `${chance}; a source is named only at ${odds(answer.alpha)} or fewer.`,
    caution: "The image may come from images that are not held here, or resemble its source too "
      + "little to tell.",
  };
}

function remainder(answer, attributed) {
  const shown = attributed.reduce((sum, source) => sum + source.share, 0);
  const others = Math.max(0, 1 - shown - answer.unattributed_share);
  return `Estimated shares: ${percent(shown)} from ${attributed.length > 1 ? "these" : "this"}, `
    + `${percent(others)} from other images held here, `
    + `${percent(answer.unattributed_share)} from none of them.`;
}

function showSimilar(sources, draw, { besides, open }) {
  const section = element("similar");
  const count = `${sources.length} ${besides ? "other " : ""}similar image${
    sources.length === 1 ? "" : "s"}`;
  section.hidden = !sources.length;
  section.open = open;
  section.querySelector("summary").textContent = `Show ${count} held here`;
  section.querySelector("p").textContent =
    "Listed for comparison only. Some images are always the most similar ones; nothing says that "
    + "this image came from them.";
  section.querySelector("ol").replaceChildren(...sources.map((source) => sourceItem(source, draw)));
}

function sourceItem(source, draw) {
  const item = element("source").content.cloneNode(true).firstElementChild;
  item.dataset.rank = source.rank;
  const image = item.querySelector("img");
  draw(image, `${source.thumbnail_url}?size=192`);
  image.alt = `Preview of ${named(source)}`;
  item.querySelector(".name").textContent = named(source);
  item.querySelector(".credit").textContent = [
    source.creator && `by ${source.creator}`,
    source.licence && `licence: ${source.licence}`,
    source.title && source.uri,
  ].filter(Boolean).join(" · ");
  const share = item.querySelector(".share");
  share.hidden = !source.attributed;
  share.querySelector("meter").value = source.share;
  share.querySelector("meter").setAttribute("aria-label", `Estimated share of ${named(source)}`);
  share.querySelector("span").textContent = percent(source.share);
  item.querySelector(".numbers").textContent = [
    MATCHES[source.match],
    source.copies.length ? `held ${source.copies.length + 1} times` : null,
    `rank ${source.rank}`,
    `similarity ${source.score.toFixed(2)}`,
    source.p_value === null ? null : `p = ${significant(source.p_value)}`,
    source.attributed || source.p_value === null ? null : `share ${percent(source.share)}`,
    `collection ${source.collection}`,
  ].filter(Boolean).map((part) => part.replaceAll(" ", NO_BREAK)).join(" · ");
  return item;
}

function showRecord(answer) {
  const rows = {
    "Image (SHA-256)": answer.query.sha256,
    "Image size": `${answer.query.width} × ${answer.query.height}, ${answer.query.format}`,
    "p-value and limit": `${answer.p_value === null ? "none" : significant(answer.p_value)}, `
      + `${answer.alpha}`,
    "Encoder": answer.model_id,
    "Index generation": answer.index_generation,
    "Calibration": `${answer.calibration.id ?? "none"} (${answer.calibration.state})`,
    "Request": answer.request_id,
    "Time": `${answer.timings_ms.total.toFixed(0)} ms`,
  };
  element("record").querySelector("dl").replaceChildren(
    ...Object.entries(rows).flatMap(([term, value]) => [cell("dt", term), cell("dd", value)]),
  );
}

function cell(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function odds(probability) {
  if (probability >= 0.1) return `${Math.round(100 * probability)} in 100`;
  const among = 1 / probability;
  const rounded = among < 1000 ? Math.round(among) : Number(among.toPrecision(2));
  return `1 in ${rounded.toLocaleString("en")}`;
}

function percent(share) {
  if (share > 0 && share < 0.001) return "under 0.1 %";
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

function significant(value) {
  return String(Number(value.toPrecision(2)));
}

"use strict";

const element = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const probability = (p) => (p < 0.001 ? "below 0.001" : p.toFixed(3));

let latest = 0;
let preview = null;

element("file").addEventListener("change", (event) => ask(event.target.files[0]));
element("ask").addEventListener("submit", (event) => event.preventDefault());

for (const name of ["dragenter", "dragover"]) {
  element("drop").addEventListener(name, (event) => {
    event.preventDefault();
    element("drop").classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) {
  element("drop").addEventListener(name, (event) => {
    event.preventDefault();
    element("drop").classList.remove("over");
  });
}
element("drop").addEventListener("drop", (event) => ask(event.dataTransfer.files[0]));

async function ask(file) {
  if (!file) return;
  const mine = ++latest; // an earlier answer that comes late must not replace a later one
  show(file);
  element("answer").hidden = true;
  element("problem").hidden = true;
  element("status").textContent = "Comparing…";
  const body = new FormData();
  body.append("file", file);
  try {
    const response = await fetch("/v1/attributions", { method: "POST", body });
    const reply = await response.json();
    if (mine !== latest) return;
    response.ok ? showAnswer(reply) : showProblem(reply.title, reply.detail);
  } catch {
    if (mine === latest) {
      showProblem("No answer", "The service could not be reached. Is it still running?");
    }
  }
}

function show(file) {
  if (preview) URL.revokeObjectURL(preview);
  preview = URL.createObjectURL(file);
  const image = element("chosen");
  image.src = preview;
  image.alt = `The chosen image, ${file.name}`;
  image.hidden = false;
}

function showProblem(title, detail) {
  element("status").textContent = "";
  element("problem").querySelector("h2").textContent = title;
  element("problem").querySelector("p").textContent = detail;
  element("problem").hidden = false;
}

function showAnswer(answer) {
  const [decision, meaning] = inWords(answer);
  element("status").textContent = "";
  element("decision").textContent = decision;
  element("meaning").textContent = meaning;
  element("sources").replaceChildren(...answer.sources.map(sourceItem));
  element("rest").textContent = answer.sources.length
    ? `Further images held here: ${percent(answer.other_share)}. `
      + `Not from any image held here: ${percent(answer.unattributed_share)}.`
    : "No image is held here yet.";
  element("small-print").textContent =
    `Encoder ${answer.model_id}, index at ${answer.index_generation}, `
    + `calibration ${answer.calibration.state}, ${answer.timings_ms.total.toFixed(0)} ms. `
    + "A share is an estimate of influence, not a proof of copying.";
  element("answer").hidden = false;
  element("decision").focus();
}

function inWords(answer) {
  if (answer.decision === "attributed") {
    const count = answer.sources.filter((source) => source.attributed).length;
    return [
      count === 1 ? "One source found" : `${count || "At least one"} sources found`,
      `An image without any source here would match this well with probability `
        + `${probability(answer.p_value)}; the limit is ${answer.alpha}.`,
    ];
  }
  if (answer.decision === "no_source_found") {
    return [
      "No source found",
      `The images below are only the most similar ones: an image without any source here would `
        + `match as well with probability ${probability(answer.p_value)}.`,
    ];
  }
  return [
    "Ranked, but not decided",
    "There are no background images to compare with, so nobody can say whether these matches are "
      + "better than chance.",
  ];
}

function sourceItem(source) {
  const item = element("source").content.cloneNode(true).firstElementChild;
  const name = source.title || source.uri || source.source_id;
  const image = item.querySelector("img");
  image.src = `${source.thumbnail_url}?size=192`;
  image.alt = `Source ranked ${source.rank}: ${name}`;
  item.classList.toggle("attributed", source.attributed);
  item.querySelector(".name").textContent = `${source.rank}. ${name} `;
  if (source.attributed) {
    const tag = document.createElement("span");
    tag.className = "tag";
    tag.textContent = "attributed";
    item.querySelector(".name").append(tag);
  }
  item.querySelector(".credit").textContent =
    [source.creator, source.licence, source.title ? source.uri : null].filter(Boolean).join(" · ");
  const meter = item.querySelector("meter");
  meter.value = source.share;
  meter.setAttribute("aria-label", `Share of ${name}`);
  meter.textContent = percent(source.share);
  item.querySelector(".share-text").textContent = percent(source.share);
  item.querySelector(".numbers").textContent =
    `similarity ${source.score.toFixed(3)}`
    + (source.p_value === null ? "" : `, p-value ${probability(source.p_value)}`)
    + `, collection ${source.collection}`;
  return item;
}

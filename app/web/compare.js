// The query and one source, to be compared by eye: beside each other, behind a slider, in turns.

import { call, draw, problemOf } from "./api.js";
import { choice, make } from "./dom.js";
import { named, percent } from "./wording.js";

const VIEWS = { beside: "Side by side", slider: "Slider", blink: "Blink" };
const LAYERS = { plain: "Pictures", heat: "Where alike", evidence: "Evidence", regions: "Regions" };
const BLINK = 700;

// What draws maps comes when somebody wants one.
const maps = () => import("./maps.js");

let remembered = { view: "beside", layer: "plain" }; // what was chosen holds for the next image too

// The stage for an item; `show(source)` puts another source on it. `explain` asks for the maps.
export function stage(item, picture, explain) {
  const state = { source: item.answer.sources[0], ...remembered };
  const mine = figure("Your image");
  const theirs = figure("");
  const stand = make("div", { class: "stand" }, theirs.figure, mine.figure);
  const cut = make("input", {
    type: "range", min: 0, max: 100, value: 50, "aria-label": "How much of your image is shown",
    oninput: () => stand.style.setProperty("--cut", `${cut.value}%`),
  });
  const told = make("p", { class: "quiet told", role: "status" });
  const legend = make("ul", { class: "legend", hidden: true });
  const pause = make("button", { type: "button", onclick: () => blink(!blinking) });
  let blinking = false;
  let timer = 0;
  let turn = 0; // counts what is chosen: what was drawn for an older choice is dropped
  let looking = null;

  const set = (name) => (value) => {
    state[name] = value;
    remembered = { view: state.view, layer: state.layer };
    refresh();
  };
  const whole = make("div", { class: "compare" },
    make("div", { class: "modes" },
      choice("How to compare", VIEWS, state.view, set("view")),
      choice("What to show", LAYERS, state.layer, set("layer"))),
    stand, cut, pause, told, legend);

  function blink(on) {
    blinking = on;
    pause.textContent = on ? "Hold" : "Blink";
    clearInterval(timer);
    if (!on) return;
    timer = setInterval(() => {
      if (!whole.isConnected) return clearInterval(timer);
      stand.classList.toggle("turned");
    }, BLINK);
  }

  function refresh() {
    const { source, view } = state;
    stand.dataset.view = view;
    cut.hidden = view !== "slider";
    pause.hidden = view !== "blink";
    blink(view === "blink" && !matchMedia("(prefers-reduced-motion: reduce)").matches);
    theirs.caption.textContent = named(source);
    mine.image.alt = `Your image ${item.name}`;
    theirs.image.alt = `Preview of ${named(source)}`;
    if (theirs.shown !== source.source_id) {
      theirs.shown = source.source_id;
      draw(theirs.image, `${source.thumbnail_url}?size=512`);
    }
    layer();
  }

  async function layer() {
    const now = turn += 1;
    const late = () => turn !== now;
    const { layer: wanted, source } = state;
    mine.map.replaceChildren();
    theirs.map.replaceChildren();
    told.textContent = "";
    legend.hidden = true;
    if (wanted === "plain") return;
    try {
      if (!item.answer.region_map) {
        told.textContent = "Looking closer…";
        await (looking ??= explain().finally(() => { looking = null; }));
      }
      if (late()) return;
      await { heat: drawHeat, evidence: drawEvidence, regions: drawRegions }[wanted](source, late);
    } catch (error) {
      const problem = problemOf(error);
      if (!late()) told.textContent = problem.title;
    }
  }

  async function drawHeat(source, late) {
    const found = item.answer.sources.find((each) => each.source_id === source.source_id)?.heatmap;
    if (!found) {
      told.textContent = item.answer.decision === "attributed"
        ? "Maps are drawn for attributed sources only." : "Maps are drawn for the first three.";
      return;
    }
    const { heat } = await maps();
    const [over, under] = await Promise.all([
      heat(found.query, found.width, found.height), heat(found.source, found.width, found.height),
    ]);
    if (late()) return;
    mine.map.replaceChildren(over.canvas);
    theirs.map.replaceChildren(under.canvas);
    told.textContent = over.share || under.share
      ? `Lit and outlined: ${percent(over.share)} of your image resembles ${percent(under.share)} `
        + "of this source, patch by patch. Alike does not mean copied."
      : "No patch of one resembles a patch of the other enough to be outlined.";
  }

  async function drawEvidence(source, late) {
    const found = item.answer.sources.find((each) => each.source_id === source.source_id)?.heatmap;
    if (!found?.evidence) {
      told.textContent = "What the score rests on is drawn for sources that have a map.";
      return;
    }
    const map = await (await maps()).evidence(found.evidence);
    if (late()) return;
    mine.map.replaceChildren(map);
    told.textContent = "Lit: what the score of this source rests on. Blurring the brightest part "
      + "costs it most, of all sources explained.";
  }

  async function drawRegions(_, late) {
    const map = item.answer.region_map;
    if (!map.regions.length) {
      told.textContent = "Regions are assigned to attributed sources only, and there is none.";
      return;
    }
    const { regions, colourOf } = await maps();
    const canvas = await regions(map, map.regions.map(({ rank }) => rank));
    if (late()) return;
    mine.map.replaceChildren(canvas);
    legend.replaceChildren(...map.regions.map(({ rank, source_id: id, fraction }) =>
      entry(colourOf(rank), `${rank}`, `${percent(fraction)} ${item.names?.[id] ?? id}`)),
    entry("var(--edge)", "–", `${percent(map.none_fraction)} none of them`));
    legend.hidden = false;
  }

  picture(mine.image);
  refresh();
  return {
    whole,
    get shown() { return state.source.source_id; },
    show(source) {
      state.source = source;
      refresh();
    },
  };
}

function figure(words) {
  const image = make("img", { alt: "", onload: () => {
    frame.classList.remove("missing");
    frame.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  }, onerror: () => frame.classList.add("missing") });
  const map = make("div", { class: "map" });
  const frame = make("div", { class: "frame" }, image, map);
  const caption = make("figcaption", {}, words);
  return { image, map, caption, figure: make("figure", {}, make("div", { class: "ground" }, frame), caption) };
}

function entry(colour, number, words) {
  const swatch = make("span", { class: "swatch", "aria-hidden": "true" }, number);
  swatch.style.setProperty("--colour", colour);
  return make("li", {}, swatch, words);
}

// The same question once more, with maps; the answer that is shown stays what it is. Sources may
// have come and gone since then, so what is mapped now is known by its id, not by its rank.
export async function explained(item, query) {
  const { answer } = item;
  const body = new FormData();
  body.append("file", item.file, item.name);
  const found = await call(`/v1/attributions?${query}`, { method: "POST", body });
  const maps = new Map(found.sources.map((source) => [source.source_id, source.heatmap]));
  for (const source of answer.sources) source.heatmap = maps.get(source.source_id) ?? null;
  answer.region_map = found.region_map;
  item.names = Object.fromEntries(found.sources.map((source) => [source.source_id, named(source)]));
}

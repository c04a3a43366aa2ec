// Lays the maps of an answer over the pictures they are of; asks nobody.
//
// The service's maps are small pictures whose opacity is the similarity, so laying them over is
// all there is to do. They come inside the answer and need no further request.

const element = (id) => document.getElementById(id);
const named = (source) => source.title || source.uri || source.source_id;
const png = (encoded) => `data:image/png;base64,${encoded}`;

export function drawMaps(answer) {
  const asked = element("chosen").src;
  drawRegions(answer, asked);
  for (const source of answer.sources) {
    if (!source.heatmap) continue;
    const item = document.querySelector(`#answer li[data-rank="${source.rank}"]`);
    const [ours, theirs] = item.querySelectorAll(".heat .layers");
    layers(ours, asked, source.heatmap.query,
      `Heat map over your image: where it resembles ${named(source)}`);
    layers(theirs, `${source.thumbnail_url}?size=512`, source.heatmap.source,
      `Heat map over ${named(source)}: where it resembles your image`);
    item.querySelector(".heat").hidden = false;
    item.classList.add("explained");
  }
}

function drawRegions(answer, asked) {
  const regions = answer.region_map?.regions ?? [];
  const figure = element("regions");
  figure.hidden = !regions.length;
  if (!regions.length) return;
  const names = new Map(answer.sources.map((source) => [source.rank, named(source)]));
  const entries = regions.map(({ rank, fraction }) => entry(fraction, names.get(rank), rank));
  entries.push(entry(answer.region_map.none_fraction, "none of them", null));
  layers(figure.querySelector(".layers"), asked, answer.region_map.png,
    "Your image, coloured by the source that each region resembles most");
  figure.querySelector("ul").replaceChildren(...entries);
}

function layers(holder, under, over, description) {
  const [picture, map] = holder.querySelectorAll("img");
  picture.src = under;
  picture.alt = description;
  map.src = png(over);
}

function entry(fraction, name, rank) {
  const item = document.createElement("li");
  const swatch = document.createElement("span");
  swatch.className = "swatch";
  if (rank !== null) swatch.dataset.colour = (rank - 1) % 10;
  item.append(swatch, `${Math.round(100 * fraction)} % ${name}`);
  return item;
}

// Draws the maps of an answer so that they can be seen: what is alike stays lit, the rest is dimmed.
//
// The service's maps are small PNGs, a pixel a patch; in a heat map the opacity of a pixel is the
// similarity, in a region map its colour names the source. Asks nobody.

const MATCHING = 0.3; // as attribution/explanation/explanation.py: from here on it is a match
const ACROSS = 320; // pixels drawn for a map, whatever its patches

// As attribution/explanation/pictures.py colours them.
export const COLOURS = [
  [230, 159, 0], [86, 180, 233], [0, 158, 115], [204, 121, 167], [240, 228, 66],
  [0, 114, 178], [213, 94, 0], [150, 110, 220], [120, 120, 120], [160, 82, 45],
];

export const colourOf = (rank) => `rgb(${COLOURS[(rank - 1) % COLOURS.length].join(" ")})`;

async function decoded(png) {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  return image;
}

async function pixels(png, width, height) {
  const image = await decoded(png);
  const [canvas, context] = sheet(width, height);
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height).data;
}

function sheet(width, height) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
}

// Similarities in [0, 1], a row after the other.
async function similarity(png, width, height) {
  const data = await pixels(png, width, height);
  return Float32Array.from({ length: width * height }, (_, place) => data[4 * place + 3] / 255);
}

// The value at a place between patches, bilinear; the outermost patches reach to the edge.
function between(values, width, height, x, y) {
  const clamp = (value, last) => Math.min(Math.max(value, 0), last);
  const [left, top] = [clamp(x, width - 1), clamp(y, height - 1)];
  const [column, row] = [Math.floor(left), Math.floor(top)];
  const [right, below] = [Math.min(column + 1, width - 1), Math.min(row + 1, height - 1)];
  const [over, down] = [left - column, top - row];
  const at = (r, c) => values[r * width + c];
  return (1 - down) * ((1 - over) * at(row, column) + over * at(row, right))
    + down * ((1 - over) * at(below, column) + over * at(below, right));
}

// A canvas over a picture, of which it darkens what is below `dark`, less and less up to `level`,
// and outlines what is above.
function lit(values, width, height, { dark, level }) {
  const size = Math.ceil(ACROSS / Math.max(width, height)); // of a patch
  const [canvas, context] = sheet(width * size, height * size);
  const shade = context.createImageData(canvas.width, canvas.height);
  const field = new Float32Array(canvas.width * canvas.height);
  const inside = (x, y) => x >= 0 && y >= 0 && x < canvas.width && y < canvas.height
    && field[y * canvas.width + x] >= level;
  const everywhere = (work) => {
    for (let y = 0; y < canvas.height; y += 1) {
      for (let x = 0; x < canvas.width; x += 1) work(x, y, y * canvas.width + x);
    }
  };
  everywhere((x, y, place) => {
    field[place] = between(values, width, height, (x + 0.5) / size - 0.5, (y + 0.5) / size - 0.5);
  });
  everywhere((x, y, place) => {
    const edge = inside(x, y)
      && !(inside(x - 2, y) && inside(x + 2, y) && inside(x, y - 2) && inside(x, y + 2));
    const light = Math.min(Math.max((field[place] - dark) / (level - dark), 0), 1);
    shade.data.set(edge ? [255, 255, 255, 255] : [8, 10, 16, 205 * (1 - light)], 4 * place);
  });
  context.putImageData(shade, 0, 0);
  return canvas;
}

export async function heat(png, width, height) {
  const values = await similarity(png, width, height);
  return {
    canvas: lit(values, width, height, { dark: 0.12, level: MATCHING }),
    share: values.filter((value) => value >= MATCHING).length / values.length,
  };
}

// What a score rests on; the map is of a size of its own.
export async function evidence(png) {
  const image = await decoded(png);
  const { naturalWidth: width, naturalHeight: height } = image;
  return lit(await similarity(png, width, height), width, height, { dark: 0, level: 0.6 });
}

// A canvas over the query, which colours and numbers the region of each source.
export async function regions(map, ranks) {
  const { width, height } = map;
  const data = await pixels(map.png, width, height);
  const of = (place) => {
    const [red, green, blue, opacity] = data.subarray(4 * place, 4 * place + 4);
    if (!opacity) return 0;
    const far = (rank) => {
      const [r, g, b] = COLOURS[(rank - 1) % COLOURS.length];
      return Math.abs(r - red) + Math.abs(g - green) + Math.abs(b - blue);
    };
    return ranks.reduce((best, rank) => (far(rank) < far(best) ? rank : best));
  };
  const owners = Array.from({ length: width * height }, (_, place) => of(place));
  const size = 24;
  const [canvas, context] = sheet(width * size, height * size);
  const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? -1 : owners[y * width + x]);
  owners.forEach((rank, place) => {
    const [x, y] = [place % width, Math.floor(place / width)];
    context.globalAlpha = rank ? 0.4 : 0.72;
    context.fillStyle = rank ? colourOf(rank) : "rgb(8 10 16)";
    context.fillRect(x * size, y * size, size, size);
    if (!rank) return;
    context.globalAlpha = 1;
    context.fillStyle = colourOf(rank);
    if (at(x - 1, y) !== rank) context.fillRect(x * size, y * size, 3, size);
    if (at(x + 1, y) !== rank) context.fillRect((x + 1) * size - 3, y * size, 3, size);
    if (at(x, y - 1) !== rank) context.fillRect(x * size, y * size, size, 3);
    if (at(x, y + 1) !== rank) context.fillRect(x * size, (y + 1) * size - 3, size, 3);
  });
  context.globalAlpha = 1;
  for (const rank of ranks) label(context, size, width, owners, rank);
  return canvas;
}

// The rank of a source, at the patch of its region that is nearest to the region's middle.
function label(context, size, width, owners, rank) {
  const places = owners.flatMap((owner, place) => (owner === rank ? [place] : []));
  if (!places.length) return;
  const mean = (pick) => places.reduce((sum, place) => sum + pick(place), 0) / places.length;
  const [column, row] = [(place) => place % width, (place) => Math.floor(place / width)];
  const [x, y] = [mean(column), mean(row)];
  const far = (place) => (column(place) - x) ** 2 + (row(place) - y) ** 2;
  const middle = places.reduce((best, place) => (far(place) < far(best) ? place : best));
  const [left, top] = [(column(middle) + 0.5) * size, (row(middle) + 0.5) * size];
  context.beginPath();
  context.arc(left, top, 0.72 * size, 0, 7);
  context.fillStyle = "rgb(8 10 16 / 85%)";
  context.fill();
  context.fillStyle = "white";
  context.font = `600 ${0.95 * size}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(rank, left, top + 1);
}

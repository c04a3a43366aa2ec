// Figures and answers in words for people; knows no element.

// Text with what turns letters round or cannot be seen spelt out, as the terminal does: no name of a
// file reads as another, or turns round what is said after it.
export const legible = (text) => text.replace(CONTROLS, (found) =>
  `<U+${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);

const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;

export const named = (source) => legible(source.title || source.uri || source.source_id);

export const MATCHES = { identical: "the very same file", copy: "the same picture" };

export const STATES = {
  attributed: "Source found",
  no_source_found: "No source",
  undecided: "Not decided",
  problem: "Problem",
  waiting: "Waiting",
};

export function odds(probability) {
  if (probability >= 0.1) return `${Math.round(100 * probability)} in 100`;
  const among = 1 / probability;
  const rounded = among < 1000 ? Math.round(among) : Number(among.toPrecision(2));
  return `1 in ${rounded.toLocaleString("en")}`;
}

export function percent(share) {
  if (share > 0 && share < 0.001) return "under 0.1 %";
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

// A p-value, with as many digits as show on which side of alpha it lies.
export function against(p, alpha) {
  for (let digits = 2; digits < 17; digits += 1) {
    const shown = Number(p.toPrecision(digits));
    if ((shown <= alpha) === (p <= alpha)) return String(shown);
  }
  return String(p);
}

export const significant = (value) => String(Number(value.toPrecision(2)));

export const plural = (count, one, many = `${one}s`) =>
  `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

export const bytes = (size) => size < 1e6
  ? `${Math.max(1, Math.round(size / 1e3))} kB` : `${(size / 1e6).toFixed(1)} MB`;

export const when = (time) => new Date(time).toLocaleString("en-GB", {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
});

// What an answer decides, what that means, and what it does not.
export function verdict(answer) {
  const attributed = answer.sources.filter((source) => source.attributed);
  if (!answer.sources.length) {
    return { decision: "Nothing to compare with", meaning: "No image is held here yet." };
  }
  if (answer.reason === "no-content") {
    return {
      decision: "Nothing to compare",
      meaning: "This image is of one colour, or nearly. No source is claimed for it.",
    };
  }
  if (answer.decision === null) {
    return {
      decision: "Compared, but not decided",
      meaning: answer.calibration.state === "building"
        ? "Sources have just changed, and how well an image matches by chance is being worked out. "
          + "Ask again in a moment."
        : "This service has no background images, which tell how well an image matches by "
          + "chance. So it lists the most similar images and claims no source. Whoever runs it "
          + "gives it some by `attribution calibrate --background FOLDER`.",
    };
  }
  const chance = answer.p_value >= 0.995
    ? "Nearly all comparable images that have no source here match something as well as this one"
    : `Of comparable images that have no source here, about ${odds(answer.p_value)} `
      + "would match something as well as this one does";
  if (answer.decision === "attributed") {
    return {
      decision: attributed.length > 1 ? `${attributed.length} sources found` : "Source found",
      meaning: `This image matches ${attributed.length > 1 ? "images" : "an image"} held here `
        + `better than chance explains. ${chance}; a source is named at ${odds(answer.alpha)} `
        + "or fewer.",
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

// Deleting sources and taking them down, once somebody has said that this is meant.

import { call, problemOf } from "./api.js";
import { dialog, make, say } from "./dom.js";
import { named, plural } from "./wording.js";

const MOST = 1000; // as many as the service takes at once

// Asks first; `removed(ids)` is told what is gone.
export function remove(sources, { takedown = false, removed }) {
  const what = sources.length === 1 ? `“${named(sources[0])}”` : plural(sources.length, "source");
  const wrong = make("p", { class: "notice bad", role: "alert", hidden: true });
  const reason = make("input", { id: "reason", required: true, maxlength: 512,
    placeholder: "who asks for it, and on what ground" });
  const sure = make("input", { type: "checkbox", required: true });
  const keep = make("button", { type: "button", onclick: () => asking.close() }, "Keep");
  const go = make("button", { class: "danger" }, takedown ? "Take down" : "Delete");
  const form = make("form", { onsubmit: async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      const { gone, left } = await send(sources, takedown ? reason.value.trim() : null);
      removed(gone);
      if (left) {
        wrong.textContent = `In no answer any more, but ${plural(left, "file")} could not be removed `
          + "from the disk yet. The service tries again until it is done; Status tells until then.";
        wrong.hidden = false;
        go.hidden = true;
        keep.textContent = "Close";
        return;
      }
      asking.close();
      say(`${plural(gone.length, "source")} ${takedown ? "taken down" : "deleted"}`);
    } catch (error) {
      const problem = problemOf(error);
      wrong.textContent = `${problem.title}. ${problem.detail ?? ""}`;
      wrong.hidden = false;
      go.disabled = false;
    }
  } },
  make("p", {}, takedown
    ? "Every source with these bytes is deleted, in all collections. The bytes are refused from "
      + "now on, and none of them stays on the disk; their digest stays, with the reason."
    : "In no answer from now on. The same file can be added again."),
  takedown ? make("div", { class: "field" }, make("label", { for: "reason" }, "Reason, kept with it"),
    reason) : null,
  takedown ? make("label", { class: "sure" }, sure, " This is meant; it cannot be undone here.")
    : null,
  wrong,
  make("div", { class: "actions" }, keep, go));
  const asking = dialog(`${takedown ? "Take down" : "Delete"} ${what}?`, form);
}

async function send(sources, reason) {
  const gone = [];
  let left = 0;
  for (let start = 0; start < sources.length; start += MOST) {
    const source_ids = sources.slice(start, start + MOST).map(({ source_id }) => source_id);
    const json = reason === null ? { source_ids } : { source_ids, takedown: true, reason };
    const done = await call("/v1/sources/delete", { method: "POST", json });
    gone.push(...done.source_ids, ...done.missing);
    left += done.remaining.length;
  }
  return { gone, left };
}

// Adds images to a collection, with what is known of all of them; a title only to one.

import { call, problemOf } from "./api.js";
import { dialog, make, say, select } from "./dom.js";
import { each, plain } from "./files.js";
import { plural } from "./wording.js";

const ABREAST = 3;

// Asks what is known of the files and sends them; true once any was added.
export function add(files, collections) {
  const images = plain(files);
  return new Promise((resolve) => {
    let sending = Promise.resolve(0);
    const names = Object.fromEntries((collections.length ? collections : [{ name: "default" }])
      .map(({ name }) => [name, name]));
    const field = (id, label, attributes = {}) => make("div", { class: "field" },
      make("label", { for: id }, label), make("input", { id, maxlength: 512, ...attributes }));
    const told = make("p", { class: "quiet", role: "status" });
    const progress = make("progress", { hidden: true, "aria-label": "Images added" });
    const refused = make("ul", { class: "refused" });
    const go = make("button", { class: "primary" }, `Add ${plural(images.length, "image")}`);
    const form = make("form", { onsubmit: async (event) => {
      event.preventDefault();
      go.disabled = true;
      sending = send(images, form, { told, progress, refused });
      await sending;
      if (!refused.children.length) asking.close();
      else go.hidden = true;
    } },
    make("div", { class: "edit" },
      select("add-collection", "Collection", names, "default" in names ? "default"
        : Object.keys(names)[0]),
      field("add-new", "or a new one", { pattern: "[a-z0-9][a-z0-9._\\-]{0,63}",
        placeholder: "a-z, 0-9", title: "1 to 64 of a-z, 0-9, '.', '_' and '-'" }),
      images.length === 1 ? field("add-title", "Title") : null,
      field("add-creator", "Creator"), field("add-licence", "Licence")),
    make("p", { class: "quiet" }, images.length === 1 ? images[0].name
      : "The names of the files come back in answers as their URI."),
    progress, told, refused,
    make("div", { class: "actions" },
      make("button", { type: "button", onclick: () => asking.close() }, "Close"), go));
    const asking = dialog("Add to the sources", form);
    asking.addEventListener("close", async () => {
      images.length = 0; // what has not begun is not sent any more
      const added = await sending;
      resolve(added > 0);
      if (added) say(`${plural(added, "source")} added`);
    });
  });
}

async function send(images, form, { told, progress, refused }) {
  const value = (id) => form.elements[id]?.value.trim() || null;
  const collection = value("add-new") ?? value("add-collection");
  const known = { title: value("add-title"), creator: value("add-creator"),
    licence: value("add-licence") };
  let [done, added, again] = [0, 0, 0];
  const refuse = (name, problem) => refused.append(make("li", {}, make("b", {}, name),
    ` ${problem.title}. ${problem.detail ?? ""}`));
  progress.hidden = false;
  progress.max = images.length;
  progress.value = 0;
  if (value("add-new")) {
    try {
      await call(`/v1/collections/${collection}`, { method: "PUT", json: {} });
    } catch (error) {
      refuse(collection, problemOf(error));
      return 0;
    }
  }
  await each(images, ABREAST, async (file) => {
    const body = new FormData();
    body.append("file", file, file.name);
    body.append("metadata", JSON.stringify({ ...known, uri: file.webkitRelativePath || file.name }));
    try {
      const { created } = await call(`/v1/sources?collection=${collection}`,
        { method: "POST", body });
      added += created;
      again += !created;
    } catch (error) {
      refuse(file.name, problemOf(error));
      if (error.status === 401) images.length = 0; // no key was given: nor is it for the next
    }
    progress.value = done += 1;
    told.textContent = [`${plural(added, "image")} added`, again && `${again} held already`,
      refused.children.length && `${refused.children.length} refused`].filter(Boolean).join(", ");
  });
  return added;
}

// Which view is shown, and what dropped files are for.

import * as attribute from "./attribute.js";
import { element } from "./dom.js";
import { takeDrops } from "./files.js";
import { forgetAll } from "./kept.js";

const VIEWS = { attribute: "Attribute", sources: "Sources", jobs: "Jobs", status: "Status" };
const loaded = { attribute: Promise.resolve(attribute) };

// A view's module comes when it is first looked at.
const view = (name) => (loaded[name] ??= import(`./${name}.js`));

const parsed = () => {
  const [, name, rest] = /^#\/(\w+)(?:\/(.*))?$/.exec(location.hash) ?? [];
  return name in VIEWS ? [name, rest ? plain(rest) : null] : ["attribute", null];
};

function plain(encoded) {
  try {
    return decodeURIComponent(encoded);
  } catch { // somebody has typed it
    return encoded;
  }
}

async function route(event) {
  const [name, rest] = parsed();
  // Within Sources only a dialogue opens and closes, which gives the focus back by itself.
  const within = name === "sources" && !element(name).hidden;
  document.title = `${VIEWS[name]} · Synthetic image attribution`;
  for (const each of Object.keys(VIEWS)) element(each).hidden = each !== name;
  for (const link of document.querySelectorAll("nav a")) {
    link.ariaCurrent = link.hash === `#/${name}` ? "page" : null;
  }
  if (event && !within) element("view").focus({ preventScroll: true });
  const module = await view(name);
  if (parsed()[0] === name) module.show(rest);
}

window.addEventListener("hashchange", route);

// Only the view at hand takes files, and Status takes none.
takeDrops(async (files) => (await view(parsed()[0])).take?.(files));

element("forget").addEventListener("click", async () => {
  await forgetAll(); // everything that the key has shown, in whichever tab
  location.reload();
});

attribute.startAttribute();
route();

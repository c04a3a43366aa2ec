// Files that are chosen, dropped or pasted, those in dropped folders too; knows no service.

import { say } from "./dom.js";
import { plural } from "./wording.js";

const HIDDEN = /(^|\/)(\.|__MACOSX|@eaDir|Thumbs\.db)/;

// The files of a drop or paste, in the order of their names within folders.
export async function filesOf(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()); // now: later they are gone
  const [found, unread] = [[], []];
  for (const entry of entries) await collect(entry, found, unread);
  if (unread.length) say(`Left out, since it cannot be read: ${plural(unread.length, "entry", "entries")}`);
  return found;
}

async function collect(entry, found, unread) {
  if (!entry || HIDDEN.test(entry.name)) return;
  if (entry instanceof File) return void found.push(entry);
  if (entry.isFile) {
    return new Promise((resolve, reject) => entry.file(resolve, reject))
      .then((file) => found.push(file), () => unread.push(entry)); // one stops no other
  }
  const reader = entry.createReader();
  for (;;) { // a reader gives a hundred at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))
      .catch(() => (unread.push(entry), []));
    if (!some.length) return;
    some.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const each of some) await collect(each, found, unread);
  }
}

// What lies in a chosen folder and is meant: no files of desktops and version control.
export const plain = (files) =>
  [...files].filter((file) => !HIDDEN.test(file.webkitRelativePath || file.name));

// The whole page takes a drop: one beside the box would make the browser leave for the file.
export function takeDrops(taken) {
  let depth = 0;
  const mark = (over) => document.body.classList.toggle("dropping", over);
  document.addEventListener("dragenter", (event) => {
    event.preventDefault();
    mark((depth += 1) > 0);
  });
  document.addEventListener("dragleave", () => mark((depth -= 1) > 0));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    mark((depth = 0) > 0);
    taken(await filesOf(event.dataTransfer));
  });
  document.addEventListener("paste", async (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) taken(files);
  });
}

// Does the work for each item, so many at a time; one that fails does not stop the others.
export async function each(items, width, work) {
  const queue = items[Symbol.iterator]();
  const lane = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: width }, lane));
}

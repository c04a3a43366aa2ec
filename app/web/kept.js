// Keeps images and answers in this browser, so that reloading the tab loses none; nothing leaves it.
//
// They belong to one tab, whose name is in sessionStorage and ends with it. What is older than a day is
// removed while the page is open in any tab, or once it is opened again.

const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;
const TAB = "attribution-tab";

const tab = nameOfTab();

function nameOfTab() {
  const fresh = `${Date.now()}-${Math.random()}`;
  try {
    const name = sessionStorage.getItem(TAB) ?? fresh;
    sessionStorage.setItem(TAB, name);
    return name;
  } catch { // a browser that keeps nothing
    return fresh;
  }
}

const STORES = ["items", "files"]; // files are large, and written once

const opened = new Promise((resolve) => {
  const request = indexedDB.open("attribution", 1);
  request.onupgradeneeded = () => {
    for (const name of STORES) {
      request.result.createObjectStore(name, { keyPath: ["tab", "id"] });
    }
  };
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => resolve(null); // a browser that keeps nothing: answers end with the page
}).catch(() => null);

async function store(mode, work) {
  const database = await opened;
  if (!database) return undefined;
  return new Promise((resolve) => {
    const transaction = database.transaction(STORES, mode);
    const found = work(...STORES.map((name) => transaction.objectStore(name)));
    transaction.oncomplete = () => resolve(found?.map?.((request) => request.result));
    transaction.onabort = () => resolve(undefined); // full: it is on the page all the same
  }).catch(() => undefined); // closed: somebody has cleared the browser's data
}

const mine = IDBKeyRange.bound([tab], [tab, []]);

export const keepFile = ({ id, at, file }) =>
  store("readwrite", (_, files) => files.put({ tab, id, at, file }));

export const keep = ({ file, ...item }) => store("readwrite", (items) => items.put({ ...item, tab }));

export const drop = ({ id }) => store("readwrite", (...stores) =>
  stores.forEach((each) => each.delete([tab, id])));

const expire = () => store("readwrite", (...stores) => stores.forEach((each) => {
  const cursor = each.openCursor();
  cursor.onsuccess = () => {
    const found = cursor.result;
    if (!found) return;
    if (Date.now() - found.value.at > DAY) found.delete();
    found.continue();
  };
}));
setInterval(expire, HOUR);

// What this tab has kept, in the order of asking.
export async function restore() {
  await expire();
  const [items, files] = (await store("readonly", (...stores) =>
    stores.map((each) => each.getAll(mine)))) ?? [[], []];
  const held = new Map(files.map(({ id, file }) => [id, file]));
  return items.filter(({ id }) => held.has(id)).map((item) => ({ ...item, file: held.get(item.id) }));
}

export const forget = () => store("readwrite", (...stores) =>
  stores.forEach((each) => each.delete(mine)));

// Also what other tabs have kept, open or gone.
export const forgetAll = () => store("readwrite", (...stores) =>
  stores.forEach((each) => each.clear()));

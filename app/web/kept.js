// Keeps images and answers in this browser, so that reloading the tab loses none; nothing leaves it.
//
// They belong to one tab, whose name is in sessionStorage and ends with it. What tabs that are gone
// have left is removed after a day.

const DAY = 24 * 3600 * 1000;
const TAB = "attribution-tab";

const tab = sessionStorage.getItem(TAB) ?? `${Date.now()}-${Math.random()}`;
sessionStorage.setItem(TAB, tab);

const opened = new Promise((resolve) => {
  const request = indexedDB.open("attribution", 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("items", { keyPath: ["tab", "id"] });
  };
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => resolve(null); // a browser that keeps nothing: answers end with the page
}).catch(() => null);

async function store(mode, work) {
  const database = await opened;
  if (!database) return undefined;
  return new Promise((resolve) => {
    const transaction = database.transaction("items", mode);
    const request = work(transaction.objectStore("items"));
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = () => resolve(undefined); // full: it is on the page all the same
  });
}

const mine = IDBKeyRange.bound([tab], [tab, []]);

export const keep = (item) => store("readwrite", (items) => items.put({ ...item, tab }));

export const drop = (item) => store("readwrite", (items) => items.delete([tab, item.id]));

// What this tab has kept, in the order of asking.
export async function restore() {
  await store("readwrite", (items) => {
    const cursor = items.openCursor();
    cursor.onsuccess = () => {
      const found = cursor.result;
      if (!found) return;
      if (Date.now() - found.value.at > DAY) found.delete();
      found.continue();
    };
  });
  return (await store("readonly", (items) => items.getAll(mine))) ?? [];
}

export const forget = () => store("readwrite", (items) => items.delete(mine));

// Asks the service: with the visitor's key where it wants one, again where it is busy.
//
// The key lives in this module's memory and nowhere else: no storage, no address, no log has it.

import { element } from "./dom.js";

const ATTEMPTS = 8;

let key = null;
let entering = null; // the promise of a key that is being asked for
let declined = 0; // how often the visitor has given none
let pause = 0; // until when nobody asks: the service has told one request to wait
const unseen = new Set(); // pictures that need a key which is not there yet
const wanted = new WeakMap(); // picture -> the address that it is to show

// A problem document, thrown.
export class Refused extends Error {
  constructor(problem, status) {
    super(problem.title ?? "The service refused");
    Object.assign(this, { problem, status });
  }
}

// Beside this file, wherever the service lies: a proxy may have put it under a prefix.
export const address = (path) => new URL(`..${path}`, import.meta.url);

export const hasKey = () => key !== null;

// The response to a request, once the service has time for it and knows the key.
//
// `waiting` is told how many seconds a busy service asks for, `sending` which share of the body is
// sent. Throws Refused, and TypeError where the service cannot be reached.
export async function ask(path, { json, waiting, sending, ...options } = {}) {
  const headers = { ...options.headers }, before = declined;
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    headers["Content-Type"] ??= "application/json";
  }
  for (let attempt = 1; ; attempt += 1) {
    await until(pause, options.signal);
    const sent = key;
    if (sent !== null) headers.Authorization = `Bearer ${sent}`;
    else delete headers.Authorization;
    const response = await (sending ? send : fetch)(address(path), { ...options, headers, sending });
    if (response.ok || response.status === 304) return response;
    const problem = await told(response);
    if (response.status === 401) {
      if (sent !== key) continue;
      // Whoever has just said "not now" is not asked again for what was on its way meanwhile.
      if (declined > before) throw new Refused(problem, response.status);
      await keyFor(problem);
      continue;
    }
    const wait = Number(response.headers.get("Retry-After"));
    if (wait > 0 && attempt < ATTEMPTS) {
      pause = Math.max(pause, Date.now() + 1000 * wait);
      waiting?.(wait);
      continue;
    }
    throw new Refused(problem, response.status);
  }
}

// As fetch, which does not say how far it is with a body.
function send(url, { method, headers, body, sending }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.responseType = "blob";
    Object.entries(headers).forEach(([name, value]) => request.setRequestHeader(name, value));
    request.upload.addEventListener("progress", ({ loaded, total }) => sending(loaded / total));
    request.addEventListener("load", () => {
      const wait = request.getResponseHeader("Retry-After");
      resolve(new Response(request.response, {
        status: request.status, headers: wait ? { "Retry-After": wait } : {},
      }));
    });
    request.addEventListener("error", () => reject(new TypeError("the connection was lost")));
    request.send(body);
  });
}

// The problem that a response tells. What stands before the service, a proxy, may tell none.
async function told(response) {
  const said = await response.json().catch(() => null);
  return said?.title ? said : {
    title: response.statusText || `Status ${response.status}`,
    detail: "Not the service has answered but something before it, such as a proxy.",
  };
}

export async function call(path, options) {
  const response = await ask(path, options);
  return response.status === 204 ? null : response.json();
}

// What went wrong, as a problem that can be shown and kept.
export function problemOf(error) {
  if (error instanceof Refused) return error.problem;
  if (error instanceof TypeError) {
    return { title: "No connection", detail: "The service could not be reached. Is it running?" };
  }
  if (error instanceof SyntaxError) {
    return { title: "Not understood", detail: "What came back is no answer of the service: something "
      + "before it, such as a proxy, may have answered." };
  }
  throw error;
}

async function until(time, signal) {
  while (Date.now() < time) {
    // Those that wait for the same moment do not all ask in it.
    const rest = time - Date.now() + 200 * Math.random();
    await new Promise((resolve) => { setTimeout(resolve, rest); });
    signal?.throwIfAborted();
  }
}

// Asks for a key, once for all who need it; throws the problem where there is none to be had.
function keyFor(problem) {
  entering ??= new Promise((resolve, reject) => {
    const asking = element("access");
    key = null;
    element("forget").hidden = true;
    element("access-reason").textContent = problem.detail ?? "";
    element("key").value = "";
    asking.onclose = () => {
      entering = null;
      const given = element("key").value.trim();
      element("key").value = "";
      if (asking.returnValue !== "given" || !given) {
        declined += 1;
        return reject(new Refused(problem, 401));
      }
      key = given;
      element("forget").hidden = false;
      resolve();
      unseen.forEach((image) => draw(image, wanted.get(image)));
      unseen.clear();
    };
    asking.returnValue = "";
    asking.showModal();
    element("key").focus();
  });
  return entering;
}

element("access").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  // No header can carry anything else.
  if (!/^[\x21-\x7e]+$/.test(element("key").value.trim())) return element("key").focus();
  element("access").close("given");
});
element("no-key").addEventListener("click", () => element("access").close(""));

// Shows the picture at an address once it comes into view. An image element can send no header, so
// where there is a key its bytes are fetched.
export function draw(image, url) {
  wanted.set(image, url);
  if (key === null) {
    image.addEventListener("error", () => unseen.add(image), { once: true });
    image.src = url;
    return;
  }
  image.removeAttribute("src"); // whatever comes of this one, no other stands under its name
  coming.observe(image);
}

const coming = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    coming.unobserve(target);
    fetchPicture(target, wanted.get(target));
  }
}, { rootMargin: "300px" });

async function fetchPicture(image, url, attempt = 1) {
  try {
    await until(pause);
    if (key === null) return void unseen.add(image);
    const response = await fetch(url, { headers: { Authorization: `Bearer ${key}` } });
    const wait = Number(response.headers.get("Retry-After"));
    if (wait > 0 && attempt < ATTEMPTS) {
      pause = Math.max(pause, Date.now() + 1000 * wait);
      return fetchPicture(image, url, attempt + 1);
    }
    if (response.status === 401) unseen.add(image);
    if (!response.ok) return;
    const blob = await response.blob();
    if (wanted.get(image) !== url) return; // it is to show another by now
    const made = URL.createObjectURL(blob);
    for (const end of ["load", "error"]) {
      image.addEventListener(end, () => URL.revokeObjectURL(made), { once: true });
    }
    image.src = made;
  } catch {
    // The name beside the picture says what it would have shown.
  }
}

// Holds the visitor's API key, where the service wants one, and sends it as a header.
//
// It stays in this tab: sessionStorage ends with it, and no address, log or other site ever sees it.

const NAME = "attribution-key";
const element = (id) => document.getElementById(id);

let drawn = []; // object URLs of pictures on the page

export function ask(url, options = {}) {
  const key = sessionStorage.getItem(NAME);
  if (key === null) return fetch(url, options);
  return fetch(url, { ...options, headers: { ...options.headers, Authorization: `Bearer ${key}` } });
}

// An image element can send no header, so where there is a key its bytes are fetched.
export async function draw(image, url) {
  if (sessionStorage.getItem(NAME) === null) {
    image.src = url;
    return;
  }
  try {
    const response = await ask(url);
    if (!response.ok) return;
    const address = URL.createObjectURL(await response.blob());
    drawn.push(address);
    image.src = address;
  } catch {
    // The name beside the picture says what it would have shown.
  }
}

export function forgetPictures() {
  drawn.forEach((address) => URL.revokeObjectURL(address));
  drawn = [];
}

// Shows the field for a key, and calls back once one was entered.
export function askForKey(reason, entered) {
  const form = element("access");
  sessionStorage.removeItem(NAME);
  element("forget").hidden = true;
  form.querySelector(".quiet").textContent = reason;
  form.hidden = false;
  element("key").value = "";
  element("key").focus();
  form.onsubmit = (event) => {
    event.preventDefault();
    const key = element("key").value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) return element("key").focus(); // no header can carry it
    sessionStorage.setItem(NAME, key);
    element("key").value = "";
    form.hidden = true;
    element("forget").hidden = false;
    entered();
  };
}

element("forget").hidden = sessionStorage.getItem(NAME) === null;
element("forget").addEventListener("click", () => {
  sessionStorage.removeItem(NAME);
  location.reload(); // with everything that the key has shown
});

// What Gradio has no widget for: theme, dialogs, lightbox, copied links, announcements, keys.
// Knows the page's markup (dalle_app/ui/templates) and nothing of the server but its picture addresses.

const one = (selector) => document.querySelector(selector);
const visible = (element) => element?.offsetParent !== null;

// --- Light and dark -----------------------------------------------------------------------------

const THEME = "crayonbox:theme";

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // storage is closed to frames in some browsers
  }
}

function keepTheme() {
  const chosen = stored(THEME);
  const dark = document.body.classList.contains("dark");
  if (chosen && (chosen === "dark") !== dark) document.body.classList.toggle("dark");
}

function toggleTheme() {
  const dark = document.body.classList.toggle("dark");
  try {
    localStorage.setItem(THEME, dark ? "dark" : "light");
  } catch {
    // As above: then the choice lasts until the page is closed.
  }
}

// Gradio sets the system's theme while it starts, and again when the system changes.
new MutationObserver(keepTheme).observe(document.body, { attributeFilter: ["class"] });

// --- Links --------------------------------------------------------------------------------------

function toast(text) {
  const place = one("#toast");
  place.textContent = text;
  place.classList.add("toast-shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => place.classList.remove("toast-shown"), 2500);
}

async function copyLink(query) {
  // The address that the visitor sees: right behind a proxy and on a hosted Space too.
  const link = new URL(query, location.origin + location.pathname).href;
  const words = one(".head").dataset;
  try {
    await navigator.clipboard.writeText(link);
    toast(words.copied);
  } catch {
    // No clipboard on plain http or in some frames.
    window.prompt(words.notCopied, link);
  }
}

// --- Lightbox -----------------------------------------------------------------------------------

let opened = null; // the tile that the lightbox shows

function showLarge(tile) {
  const box = one("#lightbox");
  const picture = tile.querySelector("img");
  opened = tile;
  box.querySelector("img").src = tile.dataset.lightbox;
  box.querySelector("img").alt = picture.alt;
  box.querySelector("p").textContent = picture.alt;
  box.querySelector("[data-act=save]").href = `${tile.dataset.lightbox}?download=1`;
  const alone = tile.closest(".board").children.length === 1;
  for (const button of box.querySelectorAll("[data-step]")) button.hidden = alone;
  if (!box.open) box.showModal();
}

function turn(by) {
  const tiles = [...opened.closest(".board").querySelectorAll("[data-lightbox]")];
  showLarge(tiles[(tiles.indexOf(opened) + by + tiles.length) % tiles.length]);
}

function act(name) {
  // The tile's own buttons do the work; they may be hidden on a small screen.
  const tools = opened.closest(".cell").querySelector(".tools");
  if (name === "copy") tools.querySelector("[data-copy]").click();
  if (name === "reroll") {
    one("#lightbox").close();
    tools.querySelector("[data-pick]").click();
  }
  if (name === "edit") {
    one("#lightbox").close();
    tools.querySelector("[data-edit]").click();
  }
}

// Whoever turned to another picture goes on from there. (Events of dialogs do not bubble.)
document.addEventListener("close", ({ target }) => target.id === "lightbox" && opened.focus(), true);

function showSheet(sheet) {
  // A wide table scrolls sideways, which the arrow keys do once it has the focus.
  for (const table of sheet.querySelectorAll("table")) table.tabIndex = 0;
  sheet.showModal();
}

// --- Clicks and keys ----------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const hit = (selector) => event.target.closest(selector);
  if (hit("[data-theme-toggle]")) toggleTheme();
  else if (hit("[data-copy]")) copyLink(hit("[data-copy]").dataset.copy);
  else if (hit("[data-lightbox]")) showLarge(hit("[data-lightbox]"));
  else if (hit("[data-dialog]")) showSheet(one(`#${hit("[data-dialog]").dataset.dialog}`));
  else if (hit("[data-act]")) act(hit("[data-act]").dataset.act);
  else if (hit("[data-step]")) turn(Number(hit("[data-step]").dataset.step));
  else if (hit("[data-close]")) hit("dialog").close();
  else if (event.target instanceof HTMLDialogElement) event.target.close(); // its backdrop
});

document.addEventListener("keydown", (event) => {
  const dialog = one("dialog[open]");
  if (dialog?.id === "lightbox" && event.key === "ArrowLeft") turn(-1);
  else if (dialog?.id === "lightbox" && event.key === "ArrowRight") turn(1);
  else if (event.key === "Escape" && !dialog) {
    [...document.querySelectorAll("button.stop")].find(visible)?.click();
  } else if (event.key === "Enter" && !event.shiftKey && matchMedia("(hover: none)").matches) {
    // The keys of a touch screen would lie over the pictures.
    if (event.target.closest(".prompt-row")) setTimeout(() => event.target.blur());
  }
});

// --- Announcements: what changed, not every step ------------------------------------------------

let announced = "";

function announce() {
  const status = [...document.querySelectorAll("[data-announce]")].find(visible);
  const text = status?.dataset.announce ?? "";
  if (!text || text === announced) return;
  announced = text;
  one("#announcer").textContent = text;
}

// --- Into view: what is drawn on a small screen, and what went wrong on any -----------------------

let followed = null; // the drawing and the problem that were last brought into view
let told = "";

function bringIntoView() {
  const drawing = [...document.querySelectorAll(".board-preview")].find(visible) ?? null;
  const typing = document.activeElement?.matches("input, textarea");
  if (drawing && !followed && !typing && matchMedia("(max-width: 700px)").matches) {
    [...document.querySelectorAll(".status-place")].find(visible)?.scrollIntoView();
  }
  followed = drawing;
  const problem = [...document.querySelectorAll(".problem-place .problem")].find(visible);
  const text = problem?.textContent ?? "";
  if (text && text !== told) problem.scrollIntoView({ block: "nearest" });
  told = text;
}

// --- Placeholders: prompts that the model is good at ---------------------------------------------

function rotatePlaceholder(turns = 0) {
  const box = one("#prompt textarea");
  const prompts = JSON.parse(one(".head")?.dataset.prompts ?? "[]");
  if (box && prompts.length && !box.value) box.placeholder = prompts[turns % prompts.length];
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (!box || !still) setTimeout(() => rotatePlaceholder(turns + 1), box ? 4000 : 200);
}

// --- What Gradio's widgets lack --------------------------------------------------------------------

function mendWidgets() {
  // Gradio gives every radio button a name of its own, and a new one whenever a choice is made. One
  // name for each group makes it one stop of the Tab key, with the arrow keys inside.
  for (const input of document.querySelectorAll("fieldset input[type=radio]")) {
    const group = input.closest("fieldset");
    group.dataset.group ||= `group-${(mendWidgets.groups += 1)}`;
    if (input.name !== group.dataset.group) input.name = group.dataset.group;
  }
  // A prompt is read in the direction of its own script.
  for (const box of document.querySelectorAll(".prompt-row textarea")) box.dir = "auto";
}

mendWidgets.groups = 0;

new MutationObserver(() => {
  announce();
  bringIntoView();
  mendWidgets();
}).observe(document.body, {
  childList: true,
  subtree: true,
  attributeFilter: ["name", "data-announce"], // Gradio changes its HTML in place
});
keepTheme();
rotatePlaceholder();

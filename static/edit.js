// The edit card: pictures to start from, and paint over what of the first may change.
// Knows its own markup (templates/edit.html) alone; Python gets both with the event `crayonbox-edit`.

const MAX_SIDE = 1536; // pixels; larger pictures are brought down here, before they travel
const MAX_TEXT = 4_000_000; // characters of a PNG; larger ones travel as JPEG

const pictures = []; // canvases, the first is painted on
let painted = false;

const card = () => document.querySelector(".edit-card");
const part = (name) => card().querySelector(name);

// --- Pictures ---------------------------------------------------------------------------------------

async function canvasOf(blob) {
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}

async function add(blobs) {
  for (const blob of blobs) {
    try {
      pictures.push(await canvasOf(blob));
    } catch {
      part(".edit-pictures").dataset.failed = "yes";
    }
  }
  show();
}

function show() {
  const list = part(".edit-pictures");
  const items = pictures.map((canvas, k) => {
    const item = document.createElement("li");
    const thumbnail = document.createElement("img");
    thumbnail.src = canvas.toDataURL("image/jpeg", 0.8);
    thumbnail.alt = `${list.dataset.picture} ${k + 1}`;
    const remove = document.createElement("button");
    remove.type = "button";
    remove.dataset.removePicture = k;
    remove.textContent = "×";
    remove.setAttribute("aria-label", `${list.dataset.remove} ${k + 1}`);
    item.append(thumbnail, remove);
    return item;
  });
  if (list.dataset.failed) {
    const problem = document.createElement("li");
    problem.className = "problem";
    problem.setAttribute("role", "alert");
    problem.textContent = list.dataset.broken;
    items.push(problem);
    delete list.dataset.failed;
  }
  list.replaceChildren(...items);
  const first = pictures[0];
  part(".edit-easel").hidden = part(".edit-tools").hidden = !first;
  for (const button of card().querySelectorAll("[data-edit-go]")) button.disabled = !first;
  if (first && part(".edit-picture").shown !== first) lay(first);
}

/** Put a picture on the easel, with nothing painted on it. */
function lay(picture) {
  for (const canvas of [part(".edit-picture"), part(".edit-paint")]) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  part(".edit-picture").getContext("2d").drawImage(picture, 0, 0);
  part(".edit-picture").shown = picture;
  painted = false;
}

// --- Paint --------------------------------------------------------------------------------------------

let last = null; // where the brush was, in the picture's pixels

function place(event) {
  const canvas = part(".edit-paint");
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

function stroke(event) {
  const canvas = part(".edit-paint");
  const pen = canvas.getContext("2d");
  const to = place(event);
  pen.strokeStyle = "#f2701d";
  pen.lineCap = pen.lineJoin = "round";
  pen.lineWidth = (Math.max(canvas.width, canvas.height) * part(".edit-brush").value) / 100;
  pen.beginPath();
  pen.moveTo(...(last ?? to));
  pen.lineTo(...to);
  pen.stroke();
  last = to;
  painted = true;
}

document.addEventListener("pointerdown", (event) => {
  if (!event.target.closest(".edit-paint")) return;
  event.target.setPointerCapture(event.pointerId);
  last = null;
  stroke(event);
});
document.addEventListener("pointermove", (event) => {
  if (event.buttons && event.target.closest?.(".edit-paint")) stroke(event);
});

// --- Sending ------------------------------------------------------------------------------------------

function textOf(canvas) {
  const png = canvas.toDataURL("image/png");
  return png.length > MAX_TEXT ? canvas.toDataURL("image/jpeg", 0.95) : png;
}

function send(act) {
  const mask = painted && act === "edit" ? part(".edit-paint").toDataURL("image/png") : "";
  const detail = { act, pictures: pictures.map(textOf), mask };
  card().dispatchEvent(new CustomEvent("crayonbox-edit", { detail, bubbles: true }));
}

/** Bring a finished picture of either tab here. */
async function take(url) {
  const tabs = [...document.querySelectorAll('.tabs [role="tab"]')];
  tabs.at(-1).click();
  while (!card()) await new Promise(requestAnimationFrame); // Gradio builds a tab when it is opened
  card().open = true;
  pictures.length = 0;
  const answer = await fetch(url);
  await add(answer.ok ? [await answer.blob()] : []);
  card().scrollIntoView({ block: "center" });
}

document.addEventListener("click", (event) => {
  const hit = (selector) => event.target.closest(selector);
  if (hit("[data-edit]")) take(hit("[data-edit]").dataset.edit);
  else if (hit("[data-edit-go]")) send(hit("[data-edit-go]").dataset.editGo);
  else if (hit("[data-paint-clear]")) lay(pictures[0]);
  else if (hit("[data-remove-picture]")) {
    pictures.splice(Number(hit("[data-remove-picture]").dataset.removePicture), 1);
    show();
  }
});
document.addEventListener("change", (event) => {
  if (!event.target.matches(".edit-choose input")) return;
  const files = [...event.target.files];
  event.target.value = ""; // so that the same file can be chosen again
  add(files);
});

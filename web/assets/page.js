"use strict";
// The scan and its text: what is chosen in one is shown in the other.
const room = (() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const words = read("words"), text = document.getElementById("text"), detail = document.getElementById("detail");
  const place = document.getElementById("viewer");
  const state = { model: read("model"), chosen: null, hovered: null, draft: null };
  const layers = () => Object.fromEntries([...document.querySelectorAll("[data-layer]")].map((box) => [box.dataset.layer, box.checked]));
  const image = place.dataset.image;
  const viewer = OpenSeadragon({
    element: place, tileSources: image.endsWith(".json") ? image : { type: "image", url: image }, showNavigationControl: false,
    gestureSettingsMouse: { clickToZoom: false }, maxZoomPixelRatio: 3, drawer: "canvas", animationTime: 0.4, preserveImageSizeOnResize: true,
  });
  viewer.canvas.setAttribute("aria-hidden", "true");
  viewer.canvas.setAttribute("tabindex", "-1");
  const over = document.createElement("canvas");
  over.className = "over";
  place.append(over);
  const mask = new Image();
  if (place.dataset.mask) { mask.src = place.dataset.mask; mask.onload = () => draw(); }

  // Pixels of the page, whatever the size of the picture that is shown.
  const scale = () => state.model.width / viewer.world.getItemAt(0).getContentSize().x;
  function onScreen(x, y) {
    const point = viewer.world.getItemAt(0).imageToViewerElementCoordinates(new OpenSeadragon.Point(x / scale(), y / scale()));
    return [point.x, point.y];
  }
  function onPage(point) {
    const found = viewer.world.getItemAt(0).viewerElementToImageCoordinates(point);
    return [found.x * scale(), found.y * scale()];
  }
  function rectangle([x, y, w, h]) {
    const [left, top] = onScreen(x, y), [right, bottom] = onScreen(x + w, y + h);
    return [left, top, right - left, bottom - top];
  }
  const colourOf = (one) => `hsl(${Math.round(210 * Math.max(0, one.confidence - 0.2) / 0.8)} 75% 45%)`;
  const ROLES = { furigana: "#2a7f62", note: "#8a5a00", margin: "#7a3fa0" };

  function draw() {
    if (!viewer.world.getItemCount() || !state.model.width) return;
    const ratio = window.devicePixelRatio || 1, shown = layers(), pen = over.getContext("2d");
    over.width = place.clientWidth * ratio;
    over.height = place.clientHeight * ratio;
    pen.scale(ratio, ratio);
    if (shown.mask && mask.complete && mask.naturalWidth) pen.drawImage(mask, ...rectangle([0, 0, state.model.width, state.model.height]));
    for (const one of state.model.characters) {
      const [x, y, w, h] = rectangle(one.box);
      if (x + w < 0 || y + h < 0 || x > place.clientWidth || y > place.clientHeight) continue;
      pen.lineWidth = 1.2;
      if (shown.confidence) { pen.fillStyle = colourOf(one); pen.globalAlpha = 0.28; pen.fillRect(x, y, w, h); pen.globalAlpha = 1; }
      if (shown.roles && one.role && ROLES[one.role]) { pen.fillStyle = ROLES[one.role]; pen.globalAlpha = 0.3; pen.fillRect(x, y, w, h); pen.globalAlpha = 1; }
      if (shown.boxes) { pen.strokeStyle = one.by_people ? "#1f5fa8" : "rgb(138 28 28 / 60%)"; pen.strokeRect(x, y, w, h); }
      if (shown.labels && h > 9) { pen.font = `${Math.min(30, h * 0.8)}px serif`; pen.fillStyle = "#b0270f"; pen.fillText(one.label, x + w + 2, y + h * 0.8); }
    }
    if (shown.columns) drawOrder(pen);
    for (const [number, colour] of [[state.hovered, "#b0270f"], [state.chosen, "#d81e1e"]]) {
      const one = state.model.characters[number];
      if (one) { pen.lineWidth = 3; pen.strokeStyle = colour; pen.strokeRect(...rectangle(one.box)); }
    }
    if (state.draft) { pen.lineWidth = 2; pen.setLineDash([5, 4]); pen.strokeStyle = "#1f5fa8"; pen.strokeRect(...rectangle(state.draft)); }
  }
  function drawOrder(pen) {
    pen.strokeStyle = "#1f5fa8";
    pen.lineWidth = 1;
    let before = null;
    for (const one of state.model.characters) {
      const [x, y, w, h] = rectangle(one.box);
      if (before && before.column === one.column) { pen.beginPath(); pen.moveTo(...before.middle); pen.lineTo(x + w / 2, y + h / 2); pen.stroke(); }
      before = { column: one.column, middle: [x + w / 2, y + h / 2] };
    }
  }
  function at([x, y]) {
    let best = null;
    for (const one of state.model.characters) {
      const [left, top, w, h] = one.box;
      if (x >= left && y >= top && x < left + w && y < top + h && (best === null || w * h < best.box[2] * best.box[3])) best = one;
    }
    return best;
  }
  const button = (number) => text.querySelector(`[data-n="${number}"]`);

  function tell(one) {
    detail.replaceChildren();
    if (!one) return;
    const head = document.createElement("p"), list = document.createElement("ol");
    head.textContent = `${one.label} · ${words["column"]} ${one.column + 1} · ` + (one.by_people ? words["confirmed by people"] : `${words["sure"]} ${one.confidence.toFixed(2)}`);
    one.best.forEach(([label, share], number) => {
      const item = document.createElement("li"), big = document.createElement("b"), small = document.createElement("small");
      big.textContent = label;
      big.lang = "ja";
      small.textContent = `${room.edit ? `${number + 1} · ` : ""}${share.toFixed(3)}`;
      const inside = room.edit ? document.createElement("button") : item;
      if (room.edit) { inside.type = "button"; inside.addEventListener("click", () => room.edit.putRight(one, label)); item.append(inside); }
      inside.append(big, small);
      list.append(item);
    });
    detail.append(head, list);
  }
  function choose(number, { focus = false, pan = false } = {}) {
    const one = state.model.characters[number];
    if (!one) return;
    const old = state.chosen === null ? null : button(state.chosen);
    if (old) { old.classList.remove("chosen"); old.tabIndex = -1; old.removeAttribute("aria-current"); }
    state.chosen = number;
    const now = button(number);
    now.classList.add("chosen");
    now.tabIndex = 0;
    now.setAttribute("aria-current", "true");
    now.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (focus) now.focus({ preventScroll: true });
    if (pan && viewer.world.getItemCount()) {
      const [x, y, w, h] = one.box.map((side) => side / scale());
      const middle = viewer.world.getItemAt(0).imageToViewportCoordinates(x + w / 2, y + h / 2);
      viewer.viewport.panTo(middle);
    }
    tell(one);
    draw();
  }
  function label(one, part) {
    part.dataset.n = one.n;
    part.textContent = one.label;
    part.classList.toggle("by-people", one.by_people);
    part.classList.toggle("unsure", !one.by_people && one.confidence < 0.5);
  }
  function fill(model) {
    state.model = model;
    text.replaceChildren();
    let column = null, last = null;
    for (const one of model.characters) {
      if (one.column !== last) { column = document.createElement("p"); text.append(column); last = one.column; }
      const part = document.createElement("button");
      part.type = "button";
      part.tabIndex = -1;
      label(one, part);
      column.append(part);
    }
    const chosen = Math.min(state.chosen ?? 0, model.characters.length - 1);
    state.chosen = null;
    if (chosen >= 0) choose(chosen, { focus: true });
    draw();
  }
  // Down and up go along the column, left and right to the next and the last one.
  function step(key) {
    const all = state.model.characters, here = all[state.chosen ?? 0];
    if (!here) return null;
    if (key === "ArrowDown") return here.n + 1;
    if (key === "ArrowUp") return here.n - 1;
    const wanted = here.column + (key === "ArrowLeft" ? 1 : -1), place = here.n - all.findIndex((one) => one.column === here.column);
    const first = all.findIndex((one) => one.column === wanted);
    if (first < 0) return null;
    return Math.min(first + place, all.findLastIndex((one) => one.column === wanted));
  }
  text.addEventListener("click", (event) => { const part = event.target.closest("[data-n]"); if (part) choose(Number(part.dataset.n), { focus: true, pan: true }); });
  text.addEventListener("mouseover", (event) => { const part = event.target.closest("[data-n]"); if (part) hover(Number(part.dataset.n)); });
  text.addEventListener("keydown", (event) => {
    if (!event.key.startsWith("Arrow")) return;
    const next = step(event.key);
    if (next !== null && state.model.characters[next]) { event.preventDefault(); choose(next, { focus: true, pan: true }); }
  });
  text.addEventListener("focusin", (event) => { const part = event.target.closest("[data-n]"); if (part && state.chosen === null) choose(Number(part.dataset.n)); });
  function hover(number) {
    if (state.hovered === number) return;
    state.hovered = number;
    tell(state.model.characters[number ?? state.chosen]);
    draw();
  }
  new OpenSeadragon.MouseTracker({
    element: viewer.canvas, moveHandler: (event) => { if (viewer.world.getItemCount() && state.model.width) hover(at(onPage(event.position))?.n ?? null); },
  });
  viewer.addHandler("canvas-click", (event) => {
    if (!event.quick || !state.model.width) return;
    const one = at(onPage(event.position));
    if (one) choose(one.n, { focus: true });
  });
  for (const event of ["open", "animation", "animation-finish", "resize", "update-viewport"]) viewer.addHandler(event, draw);
  document.querySelectorAll("[data-layer]").forEach((box) => box.addEventListener("change", draw));
  for (const one of state.model.characters) label(one, button(one.n));
  const first = text.querySelector("[data-n]");
  if (first) first.tabIndex = 0;
  const start = document.getElementById("start").dataset.chosen;
  viewer.addHandler("open", () => { if (start !== "") choose(Number(start), { focus: true, pan: true }); place.dataset.ready = "true"; });
  return { state, viewer, words, place, draw, choose, fill, onPage, onScreen, edit: null, hover };
})();

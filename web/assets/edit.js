"use strict";
// Corrections: each key or button sends one, and shows the page as it is then.
(() => {
  const { state, viewer, words, place } = room, input = document.getElementById("label"), said = document.getElementById("said");
  const proof = document.querySelector("meta[name=fumikura-proof]").content;
  const address = `/api/pages/${state.model.id}/corrections`;
  const say = (message) => { said.textContent = message; };
  const chosen = () => state.model.characters[state.chosen];
  let drawing = null;

  async function send(edit, { step = 0, message = words["saved"] } = {}) {
    try {
      const request = edit === null ? { method: "DELETE" } : { method: "POST", body: JSON.stringify(edit) };
      const answer = await fetch(edit === null ? `${address}/last` : address, { ...request, headers: { "content-type": "application/json", "x-fumikura-proof": proof } });
      const body = await answer.json();
      if (!answer.ok) { say(`${words["not saved"]}: ${typeof body.detail === "string" ? body.detail : JSON.stringify(body.detail)}`); return; }
      state.chosen = Math.max(0, (state.chosen ?? 0) + step);
      room.fill(body);
      say(message);
    } catch (error) { say(`${words["not saved"]}: ${error.message}`); }
  }
  function putRight(one, label) {
    const kind = label === one.label ? "confirm" : "label";
    return send({ kind, boxes: [one.box], labels: kind === "label" ? [label] : [] }, { step: 1 });
  }
  room.edit = { putRight };
  const behind = (one) => state.model.characters[one.n - 1];
  const ACTS = {
    label: (one) => (input.value ? putRight(one, input.value).then(() => { input.value = ""; }) : input.focus()),
    confirm: (one) => send({ kind: "confirm", boxes: [one.box] }, { step: 1 }),
    column: (one) => send({ kind: "confirm", boxes: state.model.characters.filter((other) => other.column === one.column).map((other) => other.box) }, { message: words["column confirmed"] }),
    page: () => send({ kind: "page" }, { message: words["whole page confirmed"] }),
    delete: (one) => send({ kind: "delete", boxes: [one.box] }),
    join: (one) => { const next = state.model.characters[one.n + 1]; if (next) send({ kind: "join", boxes: [one.box, next.box], labels: input.value ? [input.value] : [] }); },
    split: (one) => { const labels = [...input.value]; if (labels.length < 2) { say(words["labels of the parts, such as ろは"]); input.focus(); return; } send({ kind: "split", boxes: [one.box], labels }); input.value = ""; },
    earlier: (one) => { const before = state.model.characters[one.n - 2]; if (!before) { say(words["no character is before it"]); return; } send({ kind: "order", boxes: [one.box], after: before.box }, { step: -1 }); },
    later: (one) => { const next = state.model.characters[one.n + 1]; if (next) send({ kind: "order", boxes: [one.box], after: next.box }, { step: 1 }); },
    move: (one) => begin((box) => send({ kind: "move", boxes: [one.box], box })),
    add: () => { if (!input.value) { say(words["label"]); input.focus(); return; } const label = input.value; begin((box) => send({ kind: "add", box, labels: [label] }).then(() => { input.value = ""; })); },
    undo: () => send(null, { message: words["undone"] }),
  };
  const FREE = new Set(["page", "undo", "add"]);
  function act(name) {
    const one = chosen();
    if (!one && !FREE.has(name)) { say(words["nothing is chosen"]); return; }
    ACTS[name](one);
  }
  // A box is drawn with the pointer; while that goes on, the page does not move.
  function begin(done) {
    drawing = { done, from: null };
    viewer.setMouseNavEnabled(false);
    place.classList.add("drawing");
    say(words["draw the box with the pointer"]);
  }
  function end() {
    drawing = null;
    state.draft = null;
    viewer.setMouseNavEnabled(true);
    place.classList.remove("drawing");
    room.draw();
  }
  const point = (event) => { const around = place.getBoundingClientRect(); return room.onPage(new OpenSeadragon.Point(event.clientX - around.left, event.clientY - around.top)); };
  place.addEventListener("pointerdown", (event) => { if (drawing) { drawing.from = point(event); event.preventDefault(); event.stopPropagation(); } }, true);
  window.addEventListener("pointermove", (event) => {
    if (!drawing?.from) return;
    const [x, y] = point(event), [left, top] = drawing.from;
    state.draft = [Math.min(x, left), Math.min(y, top), Math.abs(x - left), Math.abs(y - top)].map((side) => Math.max(0, Math.round(side)));
    room.draw();
  });
  window.addEventListener("pointerup", () => {
    if (!drawing?.from) return;
    const { done } = drawing, box = state.draft;
    end();
    if (box && box[2] > 2 && box[3] > 2) done(box);
  });
  document.getElementById("editor").addEventListener("click", (event) => { const part = event.target.closest("[data-do]"); if (part) act(part.dataset.do); });
  document.getElementById("role").addEventListener("change", (event) => { const one = chosen(); if (one && event.target.value) send({ kind: "role", boxes: [one.box], role: event.target.value }); });
  input.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); act("label"); } });
  const KEYS = { c: "confirm", l: "column", p: "page", x: "delete", Delete: "delete", m: "move", a: "add", j: "join", s: "split", "[": "earlier", "]": "later", u: "undo", Enter: "label" };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && drawing) { end(); say(""); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.target.closest("input, select, textarea, [data-do]")) return;
    const one = chosen(), number = "12345".indexOf(event.key);
    if (one && number >= 0 && one.best[number]) { event.preventDefault(); putRight(one, one.best[number][0]); return; }
    if (KEYS[event.key] && (event.key !== "Enter" || event.target.closest("#text"))) { event.preventDefault(); act(KEYS[event.key]); }
  });
})();
